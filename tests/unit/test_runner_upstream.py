"""Passing requests on to another process: what arrives there, what comes back, and what happens while it is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpcore
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from common.host.serving import listening
from infra.local.origin.upstream import Upstream
from infra.local.ports import LOOPBACK, free_ports
from tests.support.patience import PATIENCE_S


async def echo(request: Request) -> Response:
    body = await request.body()
    response = JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "host": request.headers["host"],
            "body": body.decode(),
        },
        status_code=418,
    )
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


async def stream(request: Request) -> Response:
    async def numbers() -> AsyncIterator[bytes]:
        try:
            for number in range(1000):
                yield b"%d\n" % number
                await asyncio.sleep(0.02)
        finally:
            request.app.state.left.set()

    return StreamingResponse(numbers(), media_type="text/event-stream")


async def redirect(request: Request) -> Response:
    return RedirectResponse(request.url.replace(path="/f/echo"), status_code=307)


async def broken(request: Request) -> Response:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    return StreamingResponse(half(), headers={"content-length": "8"})


@asynccontextmanager
async def served(app: ASGIApp, port: int) -> AsyncIterator[None]:
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve(sockets=[listening(port, LOOPBACK)]))
    try:
        while not server.started:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await task


def function_app() -> Starlette:
    routes = [
        Route("/f/echo", echo, methods=["GET", "POST"]),
        Route("/f/stream", stream),
        Route("/f/redirect", redirect),
        Route("/f/broken", broken),
    ]
    app = Starlette(routes=routes)
    app.state.left = asyncio.Event()
    return app


def through_gateway(check: Callable[[httpx.AsyncClient, Starlette], Awaitable[None]], *, away: bool = False) -> None:
    """Run ``check`` with a client of a gateway that has the function behind it."""

    async def body() -> None:
        function_port, gateway_port = free_ports(2)
        function = function_app()
        async with httpcore.AsyncConnectionPool() as pool:
            gateway = Upstream(f"http://127.0.0.1:{function_port}/f", pool)
            async with (
                served(gateway, gateway_port),
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway_port}") as client,
            ):
                if away:
                    await check(client, function)
                    return
                async with served(function, function_port):
                    await check(client, function)

    asyncio.run(body())


def test_request_and_answer_pass_unchanged() -> None:
    async def check(client: httpx.AsyncClient, function: Starlette) -> None:
        answer = await client.post("/echo?pair=BTC%2FUSDT&x=1", content=b"payload")
        assert answer.status_code == 418
        assert answer.json() == {
            "method": "POST",
            "path": "/f/echo",
            "query": "pair=BTC%2FUSDT&x=1",
            "host": f"127.0.0.1:{client.base_url.port}",
            "body": "payload",
        }
        assert len(answer.headers.get_list("set-cookie")) == 2
        assert (await client.get("/echo")).json()["body"] == ""

    through_gateway(check)


def test_a_body_of_unknown_length_passes() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async def check(client: httpx.AsyncClient, function: Starlette) -> None:
        assert (await client.post("/echo", content=parts())).json()["body"] == "one two"

    through_gateway(check)


def test_a_redirect_leads_back_through_the_gateway() -> None:
    async def check(client: httpx.AsyncClient, function: Starlette) -> None:
        answer = await client.get("/redirect")
        assert answer.status_code == 307
        assert answer.headers["location"] == str(client.base_url.copy_with(path="/f/echo"))

    through_gateway(check)


def test_a_stream_arrives_piece_by_piece_and_ends_when_the_reader_leaves() -> None:
    async def check(client: httpx.AsyncClient, function: Starlette) -> None:
        async with client.stream("GET", "/stream") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            async with asyncio.timeout(PATIENCE_S):
                assert [await anext(lines) for _ in range(3)] == ["0", "1", "2"]
        async with asyncio.timeout(PATIENCE_S):
            await function.state.left.wait()

    through_gateway(check)


def test_while_the_function_is_away_the_answer_is_503_with_a_time_to_come_back() -> None:
    async def check(client: httpx.AsyncClient, function: Starlette) -> None:
        for answer in (await client.get("/echo"), await client.post("/echo", content=b"x")):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"

    through_gateway(check, away=True)


def test_a_cut_answer_is_not_taken_for_a_whole_one() -> None:
    async def check(client: httpx.AsyncClient, function: Starlette) -> None:
        try:
            answer = await client.get("/broken")
        except httpx.RemoteProtocolError:
            return
        assert answer.status_code >= 500

    through_gateway(check)
