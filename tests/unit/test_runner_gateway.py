"""The single origin: routes by prefix, the whole system's documents and metrics."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, create_model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from infra.local.origin import metrics_text, openapi
from infra.local.origin.gateway import Origin, Routes


def named(name: str) -> ASGIApp:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{name} {request.url.path}")

    return Starlette(routes=[Route("/{path:path}", answer)])


def origin(
    by_prefix: Mapping[str, ASGIApp] | None = None,
    groups: Mapping[str, ASGIApp] | None = None,
    metrics: Mapping[str, str] | None = None,
) -> Origin:
    async def texts() -> Mapping[str, str]:
        return metrics or {}

    return Origin(Routes(by_prefix or {}, groups or {}), tuple(groups or ()), texts)


def get(app: ASGIApp, path: str, method: str = "GET") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://origin") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


ROUTED = origin(
    {
        "/": named("health"),
        "/health": named("health"),
        "/api/v1": named("strategies"),
        "/api/v1/metrics": named("metrics"),
    },
    {"planner": named("planner")},
)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", "health /"),
        ("/health", "health /health"),
        ("/health/", "health /health/"),
        ("/health/liveness", "health /health/liveness"),
        ("/api/v1/strategies/x/config", "strategies /api/v1/strategies/x/config"),
        ("/api/v1/metrics", "metrics /api/v1/metrics"),
        ("/api/v1/metrics/depth/BTCUSDT", "metrics /api/v1/metrics/depth/BTCUSDT"),
        ("/functions/planner/healthz", "planner /healthz"),
        ("/functions/planner", "planner /"),
    ],
)
def test_the_longest_prefix_wins(path: str, answer: str) -> None:
    assert get(ROUTED, path).text == answer


@pytest.mark.parametrize("path", ["/unknown", "/healthy", "/api", "/functions/nobody/x", "/data/candles"])
def test_an_unknown_path_is_not_found(path: str) -> None:
    response = get(ROUTED, path)
    assert response.status_code == 404
    assert response.json() == {"detail": "Not Found"}


def api(path: str, model: type[BaseModel]) -> FastAPI:
    app = FastAPI(docs_url=None)

    async def endpoint(item: Any) -> Any:
        return item

    endpoint.__annotations__ = {"item": model, "return": model}
    app.post(path)(endpoint)
    return app


def test_one_document_describes_all_groups_even_when_they_use_one_name_for_different_models() -> None:
    candle = create_model("Item", open=(str, ...))
    trade = create_model("Item", price=(int, ...))
    app = origin({}, {"api-candles": api("/candles", candle), "api-trades": api("/trades", trade)})
    document = get(app, "/openapi.json").json()
    assert document["info"]["title"] == "Petrosa Data Manager API"
    shapes = {path: body_model(document, path) for path in document["paths"]}
    assert {path: set(shape["properties"]) for path, shape in shapes.items()} == {
        "/candles": {"open"},
        "/trades": {"price"},
    }
    assert "HTTPValidationError" in document["components"]["schemas"]


def body_model(document: openapi.Document, path: str) -> dict[str, Any]:
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def test_the_document_is_not_served_incomplete() -> None:
    async def away(request: Request) -> PlainTextResponse:
        return PlainTextResponse("", status_code=503)

    app = origin({}, {"api-data": Starlette(routes=[Route("/openapi.json", away)])})
    response = get(app, "/openapi.json")
    assert response.status_code == 503
    assert "retry-after" in response.headers


def test_the_documentation_page_reads_the_document() -> None:
    page = get(origin(), "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in page.text


@pytest.mark.parametrize("path", ["/docs", "/metrics", "/metrics/", "/openapi.json"])
def test_what_belongs_to_the_whole_system_is_only_read(path: str) -> None:
    answer = get(origin(), path, "POST")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert get(origin(), path, "HEAD").status_code == 200


def exposition(count: int) -> str:
    registry = CollectorRegistry()
    Counter("messages", 'Of a "kind"', ["kind"], registry=registry).labels('a "b" } c').inc(count)
    Counter("plain", "Without labels", registry=registry).inc(count)
    Histogram("seconds", "A histogram", ["path"], registry=registry).labels("/x").observe(count)
    return generate_latest(registry).decode()


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_metrics_of_all_processes_keep_their_values_and_say_which_process(path: str) -> None:
    texts = {"bridge": exposition(2), "ingest": exposition(3)}
    response = get(origin(metrics=texts), path)
    families = list(text_string_to_metric_families(response.text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a family must stand once"
    merged = {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }
    for process, text in texts.items():
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = sorted({**sample.labels, "process": process}.items())
                assert merged.pop((sample.name, *labels)) == sample.value
    assert not merged


def test_figures_are_read_from_the_text() -> None:
    text = metrics_text.merged({"bridge": exposition(2), "ingest": exposition(3)})
    assert metrics_text.total([text], "plain_total") == 5
    assert metrics_text.total([text], "messages_total") == 5
    assert metrics_text.total([text], "mess") == 0
