"""The single origin of one machine: what the gateway does in the cluster, by the route prefixes of the manifests.

Besides the routes it serves what belongs to the whole system: ``/openapi.json`` and ``/docs`` of all route groups,
``/metrics`` of all processes; and, for debugging, each function under ``/functions/<name>/``.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import httpcore
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common import product
from common.errors import NotFound, TemporaryError
from common.host.errors import not_allowed, request_answer
from infra.local.origin import metrics_text, openapi
from infra.local.origin.openapi import Document

_FUNCTIONS: Final = "/functions/"
_OWN: Final = frozenset({"/docs", "/metrics", "/metrics/", "/openapi.json"})
_READING: Final = ("GET", "HEAD")
_GATHER_TIMEOUT_S: Final = 3.0
_DOCUMENTS_TIMEOUT_S: Final = 20.0  # each group loads the library that writes its document
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Routes:
    """Which function serves which path.

    Attributes:
        by_prefix: path prefix → application. A prefix covers whole segments (``/data`` is not ``/database``), and
            ``/`` only the root itself, so that an unknown path belongs to nobody.
        by_name: function name → application.
    """

    by_prefix: Mapping[str, ASGIApp]
    by_name: Mapping[str, ASGIApp]

    def app_for(self, path: str) -> ASGIApp | None:
        """Return the application with the longest prefix that covers ``path``."""
        if path == "/":
            return self.by_prefix.get(path)
        prefix = path
        while len(prefix) > 1:
            if prefix in self.by_prefix:
                return self.by_prefix[prefix]
            prefix = prefix.rpartition("/")[0]
        return None


class Origin:
    """The application of the origin.

    Args:
        routes: which function serves which path.
        groups: names of the route groups, whose documents make the API's.
        metrics: returns the exposition of every process by name; one that is away is left out.
    """

    def __init__(
        self, routes: Routes, groups: tuple[str, ...], metrics: Callable[[], Awaitable[Mapping[str, str]]]
    ) -> None:
        self._routes = routes
        self._groups = groups
        self._metrics = metrics
        self._document: Document | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        path: str = scope["path"]
        app = self._routes.app_for(path)
        if app is None and path.startswith(_FUNCTIONS):
            name, _, rest = path.removeprefix(_FUNCTIONS).partition("/")
            app, scope = self._routes.by_name.get(name), under(scope, f"{_FUNCTIONS}{name}", rest)
        if app is None:
            app = await self._own(path, scope["method"])
        await app(scope, receive, send)

    async def _own(self, path: str, method: str) -> Response:
        if path not in _OWN:
            return request_answer(NotFound("Not Found"))
        if method not in _READING:
            return not_allowed(*_READING)
        if path in {"/metrics", "/metrics/"}:
            return Response(metrics_text.merged(await self._metrics()), headers={"content-type": _METRICS_TYPE})
        return await self._openapi() if path == "/openapi.json" else _docs()

    async def _openapi(self) -> Response:
        if self._document is None:
            try:
                async with asyncio.timeout(_DOCUMENTS_TIMEOUT_S):
                    found = await asyncio.gather(*(self._document_of(name) for name in self._groups))
            except TimeoutError:
                return request_answer(TemporaryError("a route group did not answer in time", retry_after_s=1))
            except TemporaryError as error:
                return request_answer(error)
            documents = {name: document for name, document in zip(self._groups, found, strict=True) if document}
            self._document = openapi.merged(documents)
        return Response(json.dumps(self._document), media_type="application/json")

    async def _document_of(self, name: str) -> Document | None:
        status, body = await ask(self._routes.by_name[name], "/openapi.json")
        if status >= 500:
            raise TemporaryError(f"route group {name} is away", retry_after_s=1)
        return openapi.parsed(body) if status == 200 else None


def under(scope: Scope, prefix: str, rest: str) -> Scope:
    """Return the scope of a request as the application mounted at ``prefix`` sees it."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return {**scope, "path": f"/{rest}", "raw_path": b"/" + raw[len(prefix) + 1 :]}


async def ask(app: ASGIApp, path: str) -> tuple[int, bytes]:
    """Send a GET to an application in this process and return status and body."""
    status, body = 500, bytearray()

    unread: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not unread:
            await asyncio.Event().wait()  # nobody disconnects
        return unread.pop()

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            body.extend(message.get("body", b""))

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return status, bytes(body)


def _docs() -> Response:
    # Imported here: the process of the isolated gateway needs nothing else of FastAPI.
    from fastapi.openapi.docs import get_swagger_ui_html

    page: HTMLResponse = get_swagger_ui_html(openapi_url="/openapi.json", title=product.TITLE)
    return page


async def gathered_metrics(
    own: Mapping[str, Callable[[], str]], others: Mapping[str, str], pool: httpcore.AsyncConnectionPool
) -> dict[str, str]:
    """Return the expositions of this process and of the others (name → URL); one that is away is left out."""

    async def fetch(url: str) -> str | None:
        try:
            async with asyncio.timeout(_GATHER_TIMEOUT_S):
                answer = await pool.request("GET", f"{url}/metrics")
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError, TimeoutError):
            return None
        return answer.content.decode() if answer.status == 200 else None

    fetched = await asyncio.gather(*map(fetch, others.values()))
    texts = {name: read() for name, read in own.items()}
    texts.update((name, text) for name, text in zip(others, fetched, strict=True) if text is not None)
    return dict(sorted(texts.items()))
