"""Event functions behind the host: statuses as Knative reads them, lifecycle, limits."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from common.errors import ConfigurationError
from common.host.app import create_app
from common.settings import Settings
from tests.support.asgi import LifespanFailedError, serving
from tests.support.sink import http_sink

SOURCE = """
from contextlib import asynccontextmanager
from common.errors import ConfigurationError, InvalidEvent, NotFound, StoreUnavailable
from common.events import Event
from common.host import event_function

calls = []

class Resources:
    opened = 0

async def away():
    raise StoreUnavailable("the store is away")

@asynccontextmanager
async def open_resources(context):
    if context.settings.environment == "misconfigured":
        raise ConfigurationError("MONGODB_URL: expected an address")
    if context.settings.environment == "away" and Resources.opened == 0:
        Resources.opened += 1
        raise StoreUnavailable("the store is away")
    calls.append("open")
    if context.settings.environment == "unwell":
        context.checks["store"] = away
    yield Resources()
    calls.append("close")

@event_function(resources=open_resources)
async def probe(event, resources):
    calls.append(event.type)
    if event.type == "reply":
        return Event(type="answered", source="/probe", id="a b", data=event.data)
    if event.type == "several":
        return [Event(type="answered", source="/probe", id=str(number)) for number in range(5)]
    if event.type == "none":
        return []
    if event.type == "invalid":
        raise InvalidEvent("symbol", "a symbol", "???")
    if event.type == "unavailable":
        raise StoreUnavailable("the store is locked", retry_after_s=7)
    if event.type == "bug":
        raise RuntimeError("password=secret")
    return None
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "main.py"
    path.write_text(SOURCE)
    return str(path)


def _headers(event_type: str) -> dict[str, str]:
    return {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/test", "ce-type": event_type}


def _post(source: str, event_type: str, **settings: object) -> httpx.Response:
    async def run() -> httpx.Response:
        async with serving(create_app("probe", source, Settings(**settings))) as client:  # type: ignore[arg-type]
            return await client.post("/", headers=_headers(event_type), content=b"data")

    return asyncio.run(run())


def test_success_is_204_with_an_empty_body(source: str) -> None:
    response = _post(source, "fine")
    assert (response.status_code, response.content) == (204, b"")


def test_a_reply_is_a_cloudevent_in_binary_mode(source: str) -> None:
    response = _post(source, "reply")
    assert response.status_code == 200
    assert response.headers["ce-type"] == "answered"
    assert response.headers["ce-id"] == "a%20b"
    assert response.content == b"data"


def test_of_several_events_one_is_the_reply_and_the_others_went_to_the_sink_before(source: str) -> None:
    with http_sink() as sink:
        response = _post(source, "several", k_sink=sink.url)
        assert (response.status_code, response.headers["ce-id"]) == (200, "0")
        assert {event.id for event in sink.taken} == {"1", "2", "3", "4"}
        sink.judge = lambda event: 503 if event.id == "3" else None
        failed = _post(source, "several", k_sink=sink.url)
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "5"), "the request comes again, and so do all"
    assert _post(source, "none").status_code == 204


def test_an_event_that_can_never_succeed_is_422_and_names_the_field(source: str) -> None:
    response = _post(source, "invalid")
    assert response.status_code == 422
    assert response.json()["field"] == "symbol"
    assert "expected a symbol" in response.json()["detail"]


def test_a_passing_fault_is_503_and_says_when_to_come_back(source: str) -> None:
    response = _post(source, "unavailable")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "7"


def test_a_bug_is_500_and_keeps_its_text_to_the_log(source: str, caplog: pytest.LogCaptureFixture) -> None:
    response = _post(source, "bug")
    assert response.status_code == 500
    assert b"secret" not in response.content
    assert "secret" in caplog.text


def test_the_trace_of_an_event_goes_on_in_its_reply(source: str) -> None:
    async def run() -> httpx.Response:
        async with serving(create_app("probe", source, Settings())) as client:
            parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
            return await client.post("/", headers={**_headers("reply"), "ce-traceparent": parent})

    traceparent = asyncio.run(run()).headers["ce-traceparent"]
    assert traceparent.startswith("00-0123456789abcdef0123456789abcdef-")
    assert not traceparent.endswith("-0123456789abcdef-01")


@pytest.mark.parametrize(
    ("send", "status"),
    [
        (lambda client: client.get("/"), 405),
        (lambda client: client.post("/", content=b"no event"), 400),
        (lambda client: client.post("/", headers={"content-type": "application/cloudevents-batch+json"}), 400),
        (lambda client: client.post("/", headers=_headers("fine"), content=b"x" * 2000), 413),
        (lambda client: client.post("/any/path", headers=_headers("fine")), 204),
    ],
)
def test_requests_that_are_no_event(source: str, send: Callable[[httpx.AsyncClient], object], status: int) -> None:
    async def run() -> int:
        async with serving(create_app("probe", source, Settings(max_body_bytes=1024))) as client:
            response = await send(client)  # type: ignore[misc]
            return int(response.status_code)

    assert asyncio.run(run()) == status


def test_a_body_without_a_length_is_limited_too(source: str) -> None:
    async def chunks() -> object:
        for _ in range(4):
            yield b"x" * 500

    async def run() -> int:
        async with serving(create_app("probe", source, Settings(max_body_bytes=1024))) as client:
            return (await client.post("/", headers=_headers("fine"), content=chunks())).status_code  # type: ignore[arg-type]

    assert asyncio.run(run()) == 413


def test_process_routes_and_lifecycle(source: str) -> None:
    async def run() -> None:
        app = create_app("probe", source, Settings())
        async with serving(app) as client:
            assert (await client.get("/healthz")).status_code == 200
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["ready"]) == (200, True)
            await client.post("/", headers=_headers("fine"))
            for path in ("/metrics", "/metrics/"):
                metrics = (await client.get(path)).text
                assert 'petrosa_events_total{function="probe",result="204"}' in metrics

    asyncio.run(run())


def test_a_store_that_is_away_at_the_start_is_opened_later(source: str) -> None:
    async def run() -> list[int]:
        async with serving(create_app("probe", source, Settings(environment="away"))) as client:
            first = (await client.get("/readyz")).status_code
            return [first, (await client.post("/", headers=_headers("fine"))).status_code]

    # The first opening failed at the start; asking for readiness opens it.
    assert asyncio.run(run()) == [200, 204]


def test_a_store_that_is_away_later_makes_the_function_unready_not_dead(source: str) -> None:
    async def run() -> list[httpx.Response]:
        async with serving(create_app("probe", source, Settings(environment="unwell"))) as client:
            return [await client.get("/readyz"), await client.get("/healthz")]

    ready, healthy = asyncio.run(run())
    assert (ready.status_code, ready.headers["retry-after"], healthy.status_code) == (503, "5", 200)
    assert ready.json()["reason"] == "the store is away"


def test_a_wrong_setting_keeps_the_process_from_starting(source: str) -> None:
    async def run() -> None:
        async with serving(create_app("probe", source, Settings(environment="misconfigured"))):
            pass

    with pytest.raises(LifespanFailedError, match="MONGODB_URL"):
        asyncio.run(run())


def test_a_source_without_the_target_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text("async def plain(request): return 'x'\n")
    with pytest.raises(ConfigurationError, match="FUNCTION_TARGET"):
        create_app("plain", str(path), Settings())
