"""Route groups behind the host: the error shapes of the API, a clean scope, late failures."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import functions_framework.aio
import httpx
import pytest

from common.host.app import create_app
from common.host.registry import target_of
from common.settings import Settings
from tests.support.asgi import serving

SOURCE = """
from contextlib import asynccontextmanager
from typing import Any
from starlette.responses import StreamingResponse
from common.errors import NotFound, StoreUnavailable
from common.host import route_group
from common.host.api import Api, Route
from common.host.parameters import Limit, Query

class Item(Query):
    item: str
    limit: Limit = 10

class Put(Query):
    body: dict[str, str]

class PutOne(Put):
    item: str

@asynccontextmanager
async def open_resources(context):
    yield {"greeting": "hello"}

def build(resources):
    async def item(query: Item):
        return {"item": query.item, "limit": query.limit, "greeting": resources["greeting"]}

    async def fail(query: Item):
        if query.item == "missing":
            raise NotFound("No depth available for BTCUSDT")
        if query.item == "store":
            raise StoreUnavailable("disk at /secret/path is full", retry_after_s=3)
        raise RuntimeError("password=secret")

    async def stream(query: Query):
        return StreamingResponse(iter([b"one", b"two"]))

    async def late(query: Query):
        async def body():
            yield b"begun"
            raise RuntimeError("too late")
        return StreamingResponse(body())

    async def put(query: Put):
        return query.body

    return Api("Probe", [
        Route("/probe/items/{item}", put, query=PutOne, model=Any, summary="Put an item", method="POST"),
        Route("/probe/items", put, query=Put, model=Any, summary="Put items", method="POST"),
        Route("/probe/items/{item}", item, query=Item, model=Any, summary="An item"),
        Route("/probe/fail/{item}", fail, query=Item, model=Any, summary="A failure in a route that has a parameter"),
        Route("/probe/fail", fail, query=Item, model=Any, summary="A failure"),
        Route("/probe/stream", stream, query=Query, model=Any, summary="A stream"),
        Route("/probe/late", late, query=Query, model=Any, summary="A late failure"),
    ])

probe_routes = route_group("probe_routes", resources=open_resources, build=build)
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "main.py"
    path.write_text(SOURCE)
    return str(path)


def _requested(source: str, *requests: tuple[str, str], **headers: str) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        async with serving(create_app("probe_routes", source, Settings())) as client:
            return [await client.request(method, path, headers=headers) for method, path in requests]

    return asyncio.run(run())


def _get(source: str, *paths: str) -> list[httpx.Response]:
    return _requested(source, *(("GET", path) for path in paths))


def test_a_route_works_on_the_resources(source: str) -> None:
    body = _get(source, "/probe/items/7?limit=5")[0].json()
    assert body == {"item": "7", "limit": 5, "greeting": "hello"}


def test_the_framework_alone_gives_the_same_answers(source: str) -> None:
    paths = ("/probe/items/7?limit=5", "/probe/items/7?limit=0", "/probe/fail/missing", "/nowhere")

    async def alone() -> list[httpx.Response]:
        app = functions_framework.aio.create_asgi_app("probe_routes", source)  # type: ignore[no-untyped-call]
        await target_of("probe_routes").lifetime.start(Settings())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as client:
            answers = [await client.get(path) for path in paths]
        await target_of("probe_routes").lifetime.stop()
        return answers

    assert [(answer.status_code, answer.text) for answer in asyncio.run(alone())] == [
        (answer.status_code, answer.text) for answer in _get(source, *paths)
    ]


@pytest.mark.parametrize("form", ["/probe/fail/{}", "/probe/fail?item={}"])
def test_missing_things_outages_and_bugs(source: str, form: str) -> None:
    paths = [form.format(item) for item in ("missing", "store", "bug")]
    missing, store, bug, unknown = _get(source, *paths, "/probe/nothing")
    assert (missing.status_code, missing.json()) == (404, {"detail": "No depth available for BTCUSDT"})
    assert (store.status_code, store.json()) == (503, {"detail": "Database not available"})
    assert store.headers["retry-after"] == "3"
    assert (bug.status_code, bug.json()) == (500, {"detail": "Internal server error"})
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("origin", [{}, {"origin": "https://example.org"}])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/probe/items/7", 200),
        ("/probe/items/7?limit=many", 422),
        ("/probe/fail?item=missing", 404),
        ("/probe/fail/store", 503),
        ("/probe/fail?item=bug", 500),
        ("/probe/fail/bug", 500),
    ],
)
def test_every_answer_can_be_read_from_any_origin(source: str, path: str, status: int, origin: dict[str, str]) -> None:
    (response,) = _requested(source, ("GET", path), **origin)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == "*"
    assert status == 200 or response.json().keys() == {"detail"}


def test_what_fails_before_any_route_has_the_shape_too(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text(
        SOURCE.replace("    async def item(", '    raise RuntimeError("password=secret")\n\n    async def item(')
    )
    (response,) = _get(str(path), "/probe/items/7")
    assert (response.status_code, response.json()) == (500, {"detail": "Internal server error"})
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("path", ["/probe/items/7", "/probe/items"])
def test_a_body_above_the_limit_is_413_in_the_shape_of_the_api(source: str, path: str, announced: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 500

    async def run() -> httpx.Response:
        async with serving(create_app("probe_routes", source, Settings(max_body_bytes=1024))) as client:
            return await client.post(path, content=b"x" * 2000 if announced else chunks())

    response = asyncio.run(run())
    assert response.status_code == 413
    assert response.json() == {"detail": "expected a body of at most 1024 bytes"}
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path", ["/probe/items/7", "/probe/fail?item=missing", "/probe/stream", "/openapi.json", "/no"]
)
def test_head_has_the_headers_of_the_get_and_no_body(source: str, path: str) -> None:
    head, get = _requested(source, ("HEAD", path), ("GET", path))
    assert head.status_code == get.status_code
    assert head.headers == get.headers
    assert (head.content, bool(get.content)) == (b"", True)


@pytest.mark.parametrize("path", ["/probe/items/7", "/probe/items"])
def test_a_method_that_nobody_takes_is_405_with_those_that_somebody_does(source: str, path: str) -> None:
    head, put = _requested(source, ("HEAD", path), ("PUT", path))
    assert (put.status_code, put.json()) == (405, {"detail": "Method Not Allowed"})
    assert put.headers["allow"] == ("GET, HEAD, POST" if path.endswith("7") else "POST")
    assert head.status_code == (200 if path.endswith("7") else 405)


def test_a_failure_after_the_first_byte_does_not_start_a_second_answer(
    source: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app("probe_routes", source, Settings())
    sent: list[str] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(str(message["type"]))

    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, object]:
        for message in requests:
            return message
        await asyncio.Event().wait()  # the client stays
        return {}

    scope = {"type": "http", "method": "GET", "path": "/probe/late", "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert sent.count("http.response.start") == 1
    assert "too late" in caplog.text


def test_requests_are_counted_by_route_not_by_path(source: str) -> None:
    async def run() -> str:
        async with serving(create_app("probe_routes", source, Settings())) as client:
            for path in ("/probe/items/8", "/probe/items/9", "/probe/unknown/abc"):
                await client.get(path)
            return (await client.get("/metrics")).text

    metrics = asyncio.run(run())
    assert 'endpoint="/probe/items/{item}"' in metrics
    assert "/probe/items/8" not in metrics
    assert "/probe/unknown/abc" not in metrics
