"""The event that tells of a computed document: whole as long as it can be carried everywhere."""

from typing import Any

import numpy as np
import pytest

from common.analytics.calculators.correlation import CORRELATION, CORRELATION_MATRIX
from common.analytics.declaration import MARKET
from common.analytics.document import Basis, Result, document_of
from common.analytics.function import MAX_TOLD_BYTES, computed_event, told_body
from common.clock import FixedClock
from common.events import Event, to_http
from common.events.own import AnalyticsComputed
from common.events.sink import Sink
from common.host import Context
from common.settings import Settings
from common.storage.ports import AnalyticsDocument
from common.timeframes import Timeframe

AS_OF = 1_767_225_540_000
CONTEXT = Context("correlation", Settings(), FixedClock(AS_OF), Sink(None))
CARRIED_EVERYWHERE = 64 * 1024


def market_document(pairs: int) -> AnalyticsDocument:
    names = [f"PAIR{number:04}USDT" for number in range(pairs)]
    cells = np.random.default_rng(1).uniform(-1, 1, (pairs, pairs))
    matrix = {name: dict(zip(names, row.tolist(), strict=True)) for name, row in zip(names, cells, strict=True)}
    fields: dict[str, Any] = {
        "matrix": matrix,
        "market_breadth": {"above_sma20": 0.5, "above_sma50": 0.25, "advance_decline": -0.5},
        "first_component_share": 0.625,
    }
    result = Result(
        MARKET, fields, Basis(AS_OF, pairs * 720, 720, 720, True), {"symbols": pairs}, CORRELATION_MATRIX.name
    )
    return document_of(result, CORRELATION, Timeframe.H1, as_of_ms=AS_OF, computed_at_ms=AS_OF + 5)


def told_of(document: AnalyticsDocument) -> tuple[Event, int]:
    """Return the event and its size on the wire."""
    event = computed_event(document, Event(type="request", source="/test", id="test/1"), CONTEXT)
    headers, body = to_http(event)
    return event, len(body) + sum(len(name) + len(value) + 4 for name, value in headers.items())


@pytest.mark.parametrize("pairs", [2, 5, 30])
def test_a_document_of_usual_size_is_told_whole(pairs: int) -> None:
    document = market_document(pairs)
    event, size = told_of(document)
    told = AnalyticsComputed.of(event)
    assert told.document == document.body
    assert told.omitted == ()
    assert size < CARRIED_EVERYWHERE


@pytest.mark.parametrize("pairs", [45, 200])
def test_the_event_of_a_large_matrix_names_it_and_tells_the_rest(pairs: int) -> None:
    document = market_document(pairs)
    event, size = told_of(document)
    assert size < CARRIED_EVERYWHERE
    told = AnalyticsComputed.of(event)
    assert (told.symbol, told.metric, told.timeframe, told.as_of_ms) == (MARKET, CORRELATION_MATRIX.name, "1h", AS_OF)
    assert told.omitted == ("matrix",)
    assert told.document == {name: value for name, value in document.body.items() if name != "matrix"}
    assert told.document["first_component_share"] == "0.625"
    assert told.document["rows_used"] == pairs * 720
    assert len(document.body["matrix"]) == pairs, "the stored document keeps it"  # type: ignore[arg-type] # a map


def test_as_few_fields_as_possible_are_left_out_and_the_largest_first() -> None:
    body = {"small": "s" * 100, "large": "l" * MAX_TOLD_BYTES, "larger": "L" * (MAX_TOLD_BYTES + 1), "none": None}
    told, omitted = told_body(body)
    assert omitted == ("larger", "large")
    assert told == {"small": "s" * 100, "none": None}
    assert told_body({"large": "l" * (MAX_TOLD_BYTES // 2)})[1] == ()
