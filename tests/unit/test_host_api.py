"""Declared routes: how a request is read, what is answered, and what the OpenAPI document says of it."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import Field
from starlette.responses import PlainTextResponse

from common.errors import InvalidRequest, NotFound, StoreUnavailable
from common.host.answers import Answer, Compat
from common.host.api import Api, Body, JsonResponse, Route
from common.host.parameters import Limit, Pair, Period, Query, SortOrder
from common.timeframes import Timeframe
from tests.support.api import get, json_of


class Order(Answer):
    """What is ordered."""

    symbol: Pair
    priority: int = Field(default=5, ge=1, le=10)


class Find(Query):
    """Which thing."""

    pair: Pair
    period: Period = Timeframe.H1
    limit: Limit = 10
    tags: tuple[str, ...] = ()
    sort_order: SortOrder = "asc"


class FindIn(Find):
    """Which thing of a shelf."""

    shelf: int = Field(description="Number of the shelf.")


class Put(Query):
    """What goes on which shelf."""

    shelf: int
    sort_order: SortOrder = "asc"
    body: Order


class Found(Answer):
    """What was found."""

    said: dict[str, Any]


async def find(query: Find) -> Found:
    return Found(said=query.model_dump(mode="json"))


async def put(query: Put) -> Body:
    return {"shelf": query.shelf, "sort_order": query.sort_order, "order": query.body.model_dump()}


async def text(_: Query) -> bytes:
    return b'{"text":1}'


async def teapot(_: Query) -> JsonResponse:
    return JsonResponse({"short": True}, status_code=418, headers={"x-spout": "long"})


async def plain(_: Query) -> PlainTextResponse:
    return PlainTextResponse("plain")


async def fail(query: Find) -> Body:
    raise {
        "missing": NotFound("No such thing"),
        "store": StoreUnavailable("secret-host", retry_after_s=7),
        "invalid": InvalidRequest("tags", "another tag", query.tags),
    }[query.tags[0]]


API = Api(
    "Things.",
    [
        Route("/things", find, query=Find, model=Found, summary="Things"),
        Route(
            "/shelves/{shelf}/things",
            find,
            query=FindIn,
            model=Found,
            summary="Things of a shelf",
            responses={404: "There is no such shelf.", 418: ("It is a teapot.", Order)},
            headers={"x-spout": "Its length."},
        ),
        Route("/shelves/{shelf}", put, query=Put, model=Found, summary="Put a thing", method="POST"),
        Route("/text", text, query=Query, model=Found, summary="Text"),
        Route("/teapot", teapot, query=Query, model=Found, summary="Teapot"),
        Route("/plain", plain, query=Query, model=str, summary="Plain"),
        Route("/fail", fail, query=Find, model=Found, summary="Failure"),
    ],
)
both_ways = pytest.mark.parametrize("path", ["/things", "/shelves/3/things"])


def post(path: str, content: bytes, **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(API), base_url="http://group") as client:
            return await client.post(path, content=content, headers=headers)

    return asyncio.run(run())


@both_ways
def test_a_query_is_read_and_checked_the_same_on_both_ways(path: str) -> None:
    (answer,) = get(
        API, f"{path}?pair=%20btcusdt&limit=3&tags=a&tags=b&sort_order=DESC&unknown=1&limit=4&shelf=9&body=x"
    )
    said = answer.json()["said"]
    assert said.pop("shelf", 3) == 3, "the path decides"
    assert said == {"pair": "BTCUSDT", "period": "1h", "limit": 4, "tags": ["a", "b"], "sort_order": "desc"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"


@both_ways
def test_everything_that_is_wrong_is_named_with_its_place(path: str) -> None:
    (answer,) = get(API, f"{path}?period=7m&limit=0&sort_order=up")
    assert answer.status_code == 422
    assert {tuple(item["loc"]): item["input"] for item in answer.json()["detail"]} == {
        ("query", "pair"): None,
        ("query", "period"): "7m",
        ("query", "limit"): "0",
        ("query", "sort_order"): "up",
    }
    (in_path,) = get(API, "/shelves/x/things?pair=BTCUSDT")
    assert [item["loc"] for item in in_path.json()["detail"]] == [["path", "shelf"]]


def test_a_long_query_string_is_read_like_a_short_one() -> None:
    assert json_of(API, f"/things?pair=BTCUSDT&unknown={'x' * 5000}")["said"]["pair"] == "BTCUSDT"


def test_a_body_is_read_beside_path_and_query() -> None:
    answer = post("/shelves/4?sort_order=Desc&body=ignored", b'{"symbol":"btcusdt"}')
    assert answer.json() == {"shelf": 4, "sort_order": "desc", "order": {"symbol": "BTCUSDT", "priority": 5}}


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (b"", [["body"]]),
        (b"[]", [["body"]]),
        (b'{"symbol":', [["body"]]),
        (b"\xff", [["body"]]),
        (b'{"symbol":"b/c","priority":11,"more":1}', [["body", "symbol"], ["body", "priority"], ["body", "more"]]),
    ],
)
def test_a_wrong_body_is_422_with_its_fields(content: bytes, places: list[list[str]]) -> None:
    answer = post("/shelves/4", content)
    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json()["detail"]] == places


def test_an_answer_is_text_or_what_text_is_made_of_or_a_whole_response() -> None:
    told, teapot_, plain_ = get(API, "/text", "/teapot", "/plain")
    assert (told.status_code, told.content) == (200, b'{"text":1}')
    assert (teapot_.status_code, teapot_.json(), teapot_.headers["x-spout"]) == (418, {"short": True}, "long")
    assert plain_.text == "plain"
    assert plain_.headers["access-control-allow-origin"] == "*"


def test_errors_of_the_tree_have_the_shape_of_the_api() -> None:
    missing, store, invalid = get(API, *(f"/fail?pair=BTCUSDT&tags={how}" for how in ("missing", "store", "invalid")))
    assert (missing.status_code, missing.json()) == (404, {"detail": "No such thing"})
    assert (store.status_code, store.json()) == (503, {"detail": "Database not available"})
    assert store.headers["retry-after"] == "7"
    assert (invalid.status_code, invalid.json()["detail"][0]["loc"]) == (422, ["query", "tags"])
    assert missing.headers["access-control-allow-origin"] == "*"


def test_other_paths_and_methods() -> None:
    unknown, wrong_method = get(API, "/nothing", "/shelves/4")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")
    assert post("/things", b"{}").status_code == 405


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/things/?pair=BTCUSDT", "http://group/things?pair=BTCUSDT"),
        ("/shelves/4/things/", "http://group/shelves/4/things"),
        ("/a%2Fb%3Fc%0d%0a/", "http://group/a%2Fb%3Fc%0D%0A"),
    ],
)
def test_a_last_slash_is_taken_away_without_trusting_the_host_that_the_client_names(path: str, target: str) -> None:
    (answer,) = get(API, path, headers={"host": "evil.example"})
    assert answer.status_code == 307
    assert "evil" not in answer.headers["location"]
    if "%2F" not in path:
        assert str(httpx.URL(f"http://group{path}").join(answer.headers["location"])) == target


def test_the_document_tells_parameters_and_every_status() -> None:
    document = json_of(API, "/openapi.json")
    route = document["paths"]["/shelves/{shelf}/things"]["get"]
    places = {parameter["name"]: (parameter["in"], parameter["required"]) for parameter in route["parameters"]}
    assert places == {
        "shelf": ("path", True),
        "pair": ("query", True),
        **dict.fromkeys(("period", "limit", "tags", "sort_order"), ("query", False)),
    }
    assert route["operationId"] == "get_shelves_shelf_things"
    assert route["description"] == "Which thing of a shelf."
    assert {status: said["description"] for status, said in route["responses"].items() if status in {"404", "418"}} == {
        "404": "There is no such shelf.",
        "418": "It is a teapot.",
    }
    assert set(route["responses"]) == {"200", "404", "418", "422", "503"}
    assert list(route["responses"]["200"]["headers"]) == ["x-spout"]
    limit = next(parameter for parameter in route["parameters"] if parameter["name"] == "limit")["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 1000, 10)
    posted = document["paths"]["/shelves/{shelf}"]["post"]
    assert posted["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Order"}
    assert set(posted["responses"]) == {"200", "413", "422", "503"}
    assert set(document["paths"]["/text"]["get"]["responses"]) == {"200", "503"}


def test_programs_of_an_earlier_api_are_answered_in_its_way_when_that_is_set() -> None:
    ours, theirs = Compat(None), Compat("petrosa-clients")
    assert ours.listed([1]) == {"values": [1]}
    assert theirs.listed([1]) == {"values": [1], "data": [1]}
    missing: dict[str, Any] = {"subject": {"pair": "X"}, "metadata": {"collection": "x"}}
    with pytest.raises(NotFound, match="No regime data"):
        ours.missing("No regime data", **missing)
    assert theirs.missing("No regime data", **missing) == {
        "pair": "X",
        "data": None,
        "metadata": {"collection": "x", "message": "No regime data"},
        "message": "No regime data",
    }
