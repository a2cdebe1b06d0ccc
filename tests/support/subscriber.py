"""Subscribers of a broker: one HTTP server that records every request by its path and answers as a test has told it."""

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import unquote

from tests.support.patience import PATIENCE_S

_POLL_S: Final = 0.01


@dataclass(frozen=True)
class Received:
    """One request. Names of headers are in lower case; ``at_s`` is of the monotonic clock."""

    headers: Mapping[str, str]
    body: bytes
    at_s: float

    def attribute(self, name: str) -> str | None:
        """Return an attribute of the event, decoded."""
        value = self.headers.get(f"ce-{name}")
        return None if value is None else unquote(value.encode("latin-1").decode("utf-8"))


@dataclass(frozen=True)
class Reply:
    """What a subscriber answers."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_s: float = 0.0


Answering = Callable[[Received], Reply]


class Subscribers:
    """The server. Each path is a subscriber of its own; it answers 204 unless it was told otherwise."""

    def __init__(self, port: int = 0) -> None:
        self._received: defaultdict[str, list[Received]] = defaultdict(list)
        self._answering: dict[str, Answering] = {}
        self._planned: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._at_once: defaultdict[str, int] = defaultdict(int)
        self.most_at_once: defaultdict[str, int] = defaultdict(int)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where the server listens."""
        port: int = self._server.server_address[1]
        return port

    def url(self, path: str) -> str:
        """Return the address of a subscriber."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def answer(self, path: str, *replies: Reply) -> None:
        """Give these answers next, one a request; afterwards the usual one."""
        self._planned[path].extend(replies)

    def answer_with(self, path: str, answering: Answering) -> None:
        """Make ``answering`` the usual answer of a subscriber."""
        self._answering[path] = answering

    def received(self, path: str) -> list[Received]:
        """Return the requests of a subscriber so far."""
        with self._lock:
            return list(self._received[path])

    def events(self, path: str, identity: str) -> list[Received]:
        """Return the requests of a subscriber that carried the event of this id."""
        return [each for each in self.received(path) if each.attribute("id") == identity]

    def wait_for(self, path: str, identity: str, count: int = 1, *, within_s: float = PATIENCE_S) -> list[Received]:
        """Return the requests with an event when there are ``count`` of them."""
        deadline_s = time.monotonic() + within_s
        while len(found := self.events(path, identity)) < count:
            assert time.monotonic() < deadline_s, f"{path} was sent {identity} {len(found)} times, expected {count}"
            time.sleep(_POLL_S)
        return found

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def taken(self, path: str, request: Received) -> Reply:
        """Record a request and return its answer."""
        with self._lock:
            self._received[path].append(request)
            self._at_once[path] += 1
            self.most_at_once[path] = max(self.most_at_once[path], self._at_once[path])
            planned = self._planned[path].popleft() if self._planned[path] else None
        answering = self._answering.get(path)
        reply = planned or (answering(request) if answering else Reply())
        if reply.after_s:
            time.sleep(reply.after_s)
        with self._lock:
            self._at_once[path] -= 1
        return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], subscribers: Subscribers) -> None:
        self.subscribers = subscribers
        super().__init__(address, _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(headers, body, time.monotonic())
        reply = self.server.subscribers.taken(self.path.strip("/"), request)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def subscribers(port: int = 0) -> Iterator[Subscribers]:
    """Run a server for the length of a ``with`` block."""
    server = Subscribers(port)
    try:
        yield server
    finally:
        server.close()
