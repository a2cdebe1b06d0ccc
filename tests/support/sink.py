"""A small real HTTP sink for events: it records what it is sent, and fails, hangs, refuses or goes away on demand."""

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn

from common.events import Event, from_http
from tests.support.nats import free_port
from tests.support.patience import PATIENCE_S

_STEP_S: Final = 0.01
_TLS: Final = Path(__file__).parent / "tls"


class HttpSink:
    """A server in a thread of its own.

    Attributes:
        received: every event that was sent, taken or not.
        taken: the events that were answered with 2xx, in the order of their answers.
        status: what every event is answered with, unless ``judge`` says otherwise.
        judge: given an event, returns the status for it, or None.
        is_hanging: while set, requests get no answer.
        delay_s: how long every answer takes.
        clients: the address of every connection that brought an event.
        wishes: the header ``prefer`` of every event, or nothing.
        certificate: what is shown to clients of an https sink, in PEM.
    """

    certificate: Final = (_TLS / "localhost.crt").read_text()

    def __init__(self, port: int | None = None, *, is_secure: bool = False) -> None:
        self.port = port or free_port()
        self.url = f"http{'s' if is_secure else ''}://127.0.0.1:{self.port}/"
        self.clients: set[tuple[str, int]] = set()
        self.wishes: list[str | None] = []
        self._is_secure = is_secure
        self.received: list[Event] = []
        self.taken: list[Event] = []
        self.status = 202
        self.judge: Callable[[Event], int | None] = lambda _event: None
        self.is_hanging = False
        self.delay_s = 0.0
        self.most_at_once = 0
        self._at_once = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def lines(self, kind: str | None = None) -> list[bytes]:
        """Return the lines of all events taken, of one market kind or of all, in the order they were taken."""
        events = list(self.taken)
        wanted = f"io.petrosa.market.{kind}.v1"
        return [line for event in events if kind is None or event.type == wanted for line in event.data.split(b"\n")]

    def counted(self) -> Counter[bytes]:
        """Return how often each line was taken."""
        return Counter(self.lines())

    def wait_for(self, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        """Wait until ``condition`` holds; it is asked again and again."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"the sink took {len(self.lines())} messages in {len(self.taken)} events"
            )
            time.sleep(_STEP_S)

    def start(self) -> None:
        """Listen."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
                ssl_certfile=_TLS / "localhost.crt" if self._is_secure else None,
                ssl_keyfile=_TLS / "localhost.key" if self._is_secure else None,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + PATIENCE_S
        while not self._server.started:
            assert time.monotonic() < deadline, "the sink did not start"
            time.sleep(_STEP_S)

    def stop(self) -> None:
        """Go away: connections are cut, new ones refused. ``start`` brings it back on the same port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            self._thread.join()
        self._server = self._thread = None

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        event = from_http(headers, body)
        self.clients.add(tuple(scope["client"]))
        self.wishes.append(headers.get("prefer"))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            status = await self._judged(event)
        finally:
            self._at_once -= 1
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _judged(self, event: Event) -> int:
        self.received.append(event)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        while self.is_hanging:  # noqa: ASYNC110 - set from the thread of the test
            await asyncio.sleep(_STEP_S)
        status = self.judge(event) or self.status
        if 200 <= status < 300:
            self.taken.append(event)
        return status


@contextlib.contextmanager
def http_sink(*, start: bool = True, is_secure: bool = False) -> Iterator[HttpSink]:
    """Run a sink for the length of a ``with`` block."""
    sink = HttpSink(is_secure=is_secure)
    try:
        if start:
            sink.start()
        yield sink
    finally:
        sink.is_hanging = False
        sink.stop()
