"""How the bridge is asked: over HTTP, bounded, and whatever happens it is an answer."""

import asyncio

import pytest

from functions.api_health.bridge import HttpBridge
from tests.support.nats import free_port


def asked(answer: bytes | None, *, timeout_s: float = 1.0) -> tuple[bool, list[bytes]]:
    """Ask a bridge that gives ``answer`` to any request, or none at all; return what it said and was asked."""
    requests: list[bytes] = []

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readline())
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()
        served.set()

    async def run() -> bool:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        bridge = HttpBridge(f"http://127.0.0.1:{port}/", timeout_s=timeout_s)
        try:
            return await bridge.is_ready()
        finally:
            await bridge.close()
            server.close()
            await served.wait()

    return asyncio.run(run()), requests


@pytest.mark.parametrize(
    ("answer", "is_ready"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", False),
        (b"not http\r\n\r\n", False),
        (b"", False),
    ],
)
def test_only_a_200_is_ready(answer: bytes, is_ready: bool) -> None:
    said, requests = asked(answer)
    assert said is is_ready
    assert requests == [b"GET /readyz HTTP/1.1\r\n"]


def test_a_bridge_that_does_not_answer_in_time_is_not_ready() -> None:
    assert asked(None, timeout_s=0.1)[0] is False


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "ftp://127.0.0.1:{port}", "nowhere"])
def test_a_bridge_that_is_not_there_is_not_ready(url: str) -> None:
    async def run() -> bool:
        bridge = HttpBridge(url.format(port=free_port()), timeout_s=0.5)
        try:
            return await bridge.is_ready()
        finally:
            await bridge.close()

    assert asyncio.run(run()) is False
