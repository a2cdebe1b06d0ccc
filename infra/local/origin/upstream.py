"""A function in another process of this machine, as an ASGI application: passes requests on and answers back."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

import httpcore
from starlette.types import Message, Receive, Scope, Send

from common.host.errors import ErrorAnswer

# Fields that belong to one connection (RFC 9110 §7.6.1); the rest goes through unchanged, the host included.
_CONNECTION_FIELDS: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"}
    | {b"trailer", b"transfer-encoding", b"upgrade"}
)
_CONNECT_TIMEOUT_S: Final = 2.0
_RETRY_AFTER: Final = {"retry-after": "1"}


class Upstream:
    """Sends each request to ``base`` (``http://host:port/prefix``) and streams the answer.

    While the process is away the answer is 503 with ``Retry-After``. A failure after the answer has begun closes the
    client's connection, so that a cut answer is not taken for a whole one.
    """

    def __init__(self, base: str, pool: httpcore.AsyncConnectionPool) -> None:
        url = httpcore.URL(base)
        self._origin = url.origin
        self._prefix = url.target.rstrip(b"/")
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = self._request(scope, receive)
        try:
            answer = await self._pool.handle_async_request(request)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError):
            unavailable = ErrorAnswer({"detail": "Temporarily not available"}, status_code=503, headers=_RETRY_AFTER)
            await unavailable(scope, receive, send)
            return
        try:
            await _unless_disconnected(_pass_on(answer, send), receive)
        finally:
            await answer.aclose()

    def _request(self, scope: Scope, receive: Receive) -> httpcore.Request:
        raw_path = scope.get("raw_path") or scope["path"].encode()
        query = scope["query_string"]
        target = self._prefix + raw_path + (b"?" + query if query else b"")
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
        headers = [(name, value) for name, value in scope["headers"] if name not in _CONNECTION_FIELDS]
        if chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        return httpcore.Request(
            scope["method"],
            httpcore.URL(scheme=self._origin.scheme, host=self._origin.host, port=self._origin.port, target=target),
            headers=headers,
            content=_body(receive) if has_body else b"",
            extensions={"timeout": {"connect": _CONNECT_TIMEOUT_S, "pool": _CONNECT_TIMEOUT_S}},
        )


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise httpcore.ReadError("the client went away")
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _pass_on(answer: httpcore.Response, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in answer.headers if name.lower() not in _CONNECTION_FIELDS]
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    async for chunk in answer.aiter_stream():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _unless_disconnected(passing: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Pass an answer on until it ends or the client goes away, so that an endless stream is not read for nobody."""
    work = asyncio.create_task(passing)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
