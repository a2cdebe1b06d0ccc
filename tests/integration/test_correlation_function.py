"""The correlation function whole, over real stores: one event about all pairs makes a document of each and of all."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from common.events import from_http, to_http
from common.events.own import AnalyticsComputed, AnalyticsRequested
from common.host.app import create_app
from common.models.families import Family
from common.models.rows import CandleRow
from common.settings import Settings
from common.storage.open import open_analytics_store, open_market_store
from common.storage.ports import AnalyticsDocument, Window
from common.timeframes import Timeframe
from common.times import parse_instant
from tests.support.asgi import serving
from tests.support.candles import recorded_rows
from tests.support.sink import HttpSink, http_sink
from tests.support.store_rows import put

MAIN = Path(__file__).resolve().parents[2] / "functions" / "correlation" / "main.py"
AS_OF = parse_instant("2025-12-31T23:59:00Z")
H1 = Timeframe.H1
PAIRS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, sink: HttpSink) -> Settings:
    return Settings(petrosa_data_dir=tmp_path, petrosa_clock="2025-12-31T23:59:00Z", k_sink=sink.url)


@pytest.fixture(scope="module")
def recorded(recorded_data: Path) -> dict[str, list[CandleRow]]:
    files = {pair: recorded_data / "klines" / f"um_1h_{pair}_2025-09_2025-12.csv.gz" for pair in PAIRS}
    return {pair: recorded_rows(path, pair, H1) for pair, path in files.items()}


class Answers(list[tuple[int, str | None]]):
    """Status and symbol told of, one for each request."""


def computed(
    settings: Settings, *stages: list[CandleRow], as_of_ms: int = AS_OF, symbols: tuple[str, ...] = PAIRS
) -> tuple[Answers, dict[str, AnalyticsDocument]]:
    """Store the rows of each stage and ask after each; return the answers and the documents of the last."""
    data = AnalyticsRequested(metric="correlation", symbols=symbols, timeframe=H1, as_of_ms=as_of_ms)
    headers, body = to_http(data.to_event(source="/test", cause="test/1", time_ms=as_of_ms))

    async def run() -> tuple[Answers, dict[str, AnalyticsDocument]]:
        answers = Answers()
        market, analytics = await open_market_store(settings), await open_analytics_store(settings)
        async with serving(create_app("correlation", str(MAIN), settings)) as client:
            for rows in stages:
                await put(market, Family.CANDLES, rows)
                response = await client.post("/", headers=headers, content=body)
                told = AnalyticsComputed.of(from_http(response.headers, response.content)) if response.content else None
                answers.append((response.status_code, told.symbol if told else None))
        names = [*((pair, "correlation") for pair in symbols), ("MARKET", "correlation_matrix")]
        found = {name: await analytics.documents(name, metric, H1, Window(limit=10)) for name, metric in names}
        await market.close()
        await analytics.close()
        return answers, {name: documents[0] for name, documents in found.items() if documents}

    return asyncio.run(run())


def test_one_event_makes_a_document_for_each_pair_and_one_of_the_market(
    settings: Settings, recorded: dict[str, list[CandleRow]], sink: HttpSink
) -> None:
    rows = [row for pair in PAIRS for row in recorded[pair]]
    answers, documents = computed(settings, rows)
    assert answers == [(200, "BTCUSDT")]
    assert set(documents) == {*PAIRS, "MARKET"}
    told = [AnalyticsComputed.of(event) for event in sink.taken]
    assert [(one.symbol, one.metric) for one in told] == [
        *(("ETHUSDT", "correlation"), ("SOLUSDT", "correlation"), ("MARKET", "correlation_matrix"))
    ]
    assert len({event.id for event in sink.taken}) == 3
    market, eth = documents["MARKET"].body, documents["ETHUSDT"].body
    matrix = cast("dict[str, Any]", market["matrix"])
    assert list(matrix) == list(PAIRS)
    assert matrix["ETHUSDT"] == eth["correlation_matrix"]
    assert matrix["BTCUSDT"]["BTCUSDT"] == "1"
    assert 0.5 < float(matrix["BTCUSDT"]["ETHUSDT"]) < 1
    assert eth["timeframe"] == market["timeframe"] == "1h"
    assert market["data_until"] == "2025-12-31T23:00:00.000Z"
    assert {name for name, value in eth.items() if value is None} == set()
    metadata = cast("dict[str, Any]", market["metadata"])
    assert (metadata["method"], metadata["window"]) == ("pearson_correlation", "30d")
    assert (metadata["parameters"]["symbols"], metadata["parameters"]["benchmark"]) == (3, "BTCUSDT")


def test_documents_are_the_same_whatever_came_later(settings: Settings, recorded: dict[str, list[CandleRow]]) -> None:
    as_of_ms = recorded["BTCUSDT"][2000].time_ms + 60_000
    before = [row for pair in PAIRS for row in recorded[pair] if row.time_ms < as_of_ms]
    after = [row._replace(close="1") for pair in PAIRS for row in recorded[pair] if row.time_ms >= as_of_ms]
    _, first = computed(settings, before, as_of_ms=as_of_ms)
    _, second = computed(settings, after, as_of_ms=as_of_ms)
    assert len(first) == 4
    for name, document in first.items():
        changing = ("timestamp", "metadata")
        assert {key: value for key, value in document.body.items() if key not in changing} == {
            key: value for key, value in second[name].body.items() if key not in changing
        }


def test_a_pair_without_fresh_candles_is_left_out(settings: Settings, recorded: dict[str, list[CandleRow]]) -> None:
    rows = [*recorded["BTCUSDT"], *recorded["ETHUSDT"], *recorded["SOLUSDT"][:2000]]
    answers, documents = computed(settings, rows, symbols=(*PAIRS, "XYZUSDT"))
    assert answers == [(200, "BTCUSDT")]
    assert set(documents) == {"BTCUSDT", "ETHUSDT", "MARKET"}
    assert list(cast("dict[str, Any]", documents["MARKET"].body["matrix"])) == ["BTCUSDT", "ETHUSDT"]


def test_one_pair_alone_has_no_correlation(settings: Settings, recorded: dict[str, list[CandleRow]]) -> None:
    answers, documents = computed(settings, recorded["BTCUSDT"])
    assert (answers, documents) == ([(204, None)], {})
