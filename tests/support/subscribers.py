"""Subscribers for tests of a broker: one HTTP server whose paths record every request and answer as they are told."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import uvicorn

from common.events import Event, from_http
from tests.support.nats import free_port

_STEP_S: Final = 0.01
_START_S: Final = 10.0

Headers = dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What a subscriber answers; one that hangs sends nothing for that long."""

    status: int = 204
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    hangs_s: float = 0.0


@dataclass(frozen=True)
class Call:
    """One request that a subscriber got; ``at_s`` is the monotonic time at which it was complete."""

    method: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    at_s: float

    @property
    def headers(self) -> Headers:
        """Headers by name in lower case."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.raw_headers}

    @property
    def id(self) -> str:
        """The event's id."""
        return self.event.id

    @property
    def event(self) -> Event:
        """The event that the request carries."""
        return from_http(self.headers, self.body)


class Subscriber:
    """One path of the server.

    Attributes:
        calls: all requests, in the order in which they came.
        answers: what the first requests for an event are answered with, one after the other; the last one stays.
        judge: given a call and how many calls there were for this event before, returns the answer, or nothing.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: Sequence[Answer] = (Answer(),)
        self.judge: Callable[[Call, int], Answer | None] = lambda _call, _before: None

    def of(self, event_id: str) -> list[Call]:
        """Return the requests for one event."""
        return [call for call in list(self.calls) if call.id == event_id]

    def ids(self) -> set[str]:
        """Return the ids of the events seen."""
        return {call.id for call in list(self.calls)}

    def wait(self, event_id: str, count: int = 1, seconds: float = 15.0) -> list[Call]:
        """Wait for so many requests for one event and return all of them."""
        until(lambda: len(self.of(event_id)) >= count, seconds, lambda: f"{len(self.of(event_id))} calls of {count}")
        return self.of(event_id)

    def answer(self, call: Call) -> Answer:
        """Record a request and return its answer."""
        before = len(self.of(call.id))
        self.calls.append(call)
        return self.judge(call, before) or self.answers[min(before, len(self.answers) - 1)]


class Subscribers:
    """The server, in a thread of its own; a path is a subscriber from its first mention on."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._by_path: dict[str, Subscriber] = {}
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def at(self, path: str) -> Subscriber:
        """Return the subscriber of a path, which is given without its first slash."""
        return self._by_path.setdefault(path, Subscriber())

    def start(self) -> None:
        """Listen."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        config = uvicorn.Config(
            self._app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        server = self._server
        until(lambda: server.started, _START_S, lambda: "the subscribers did not start")

    def stop(self) -> None:
        """Go away: connections are cut, new ones refused. ``start`` comes back on the same port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            self._thread.join()
        self._server = self._thread = None

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        call = Call(scope["method"], tuple(scope["headers"]), body, time.monotonic())
        answer = self.at(scope["path"].strip("/")).answer(call)
        if answer.hangs_s:
            await asyncio.sleep(answer.hangs_s)
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        if answer.status == 204:
            del headers["content-length"]
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.body})


def until(condition: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Wait until ``condition`` holds; ``what`` says how far it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what()}"
        time.sleep(_STEP_S)


@contextlib.contextmanager
def subscribers() -> Iterator[Subscribers]:
    """Run the server for the length of a ``with`` block."""
    server = Subscribers()
    try:
        server.start()
        yield server
    finally:
        server.stop()
