"""``/analysis/correlation``: the stored matrix of some pairs, each pair beside the benchmark, and the market."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from pydantic import Field

from common.analytics import metrics
from common.analytics.metrics import CORRELATION, CORRELATION_MATRIX, MARKET
from common.errors import NotFound
from common.host.api import JsonResponse
from common.host.parameters import Limit, Period, SpanQuery, one_of
from common.storage.ports import AnalyticsDocument, Window
from common.times import to_iso
from functions.api_analysis.explanation import explained
from functions.api_analysis.models import Answer, Explanation
from functions.api_analysis.pairs import Pairs
from functions.api_analysis.reader import AnalysisReader

METHOD: Final = "pearson"
COLLECTION: Final = f"analytics_{CORRELATION_MATRIX}"

Matrix = dict[str, dict[str, str | None]]
Document = Mapping[str, Any]


class CorrelationQuery(SpanQuery):
    """Which pairs, of the newest matrix of a span; with ``limit``, those before it too."""

    pairs: Pairs
    period: Period
    window: Annotated[str, one_of((CORRELATION.window,))] = Field(
        default=CORRELATION.window,
        description="Name of the window that was computed.",
        json_schema_extra={"enum": [CORRELATION.window]},
    )
    limit: Limit | None = Field(default=None, description="Matrices of the history in the answer, at most.")
    explain: bool = Field(default=False, description="Add what the matrix was computed from.")


class Cointegration(Answer):
    """Engle-Granger test of a pair on the benchmark, in logarithms of prices."""

    beta: str | None
    adf_t: str | None
    p_value: str | None
    half_life_bars: str | None


class BesideBenchmark(Answer):
    """How a pair moves beside the benchmark."""

    rolling_correlation: str | None = Field(description="Over 30 days.")
    cross_correlation_lag: int | None = Field(description="Bars; positive when the pair follows the benchmark.")
    cross_correlation_at_lag: str | None
    volatility_correlation: str | None
    correlation_stability: str | None = Field(description="0 (changes a lot) to 1 (constant).")
    cointegration: Cointegration | None


class Breadth(Answer):
    """Which share of the pairs of the stored matrix takes part in a move."""

    above_sma20: str | None
    above_sma50: str | None
    advance_decline: str | None


class Market(Answer):
    """What all pairs of the stored matrix have in common."""

    market_breadth: Breadth | None
    first_component_share: str | None


class MatrixValue(Answer):
    """One matrix of the history."""

    timestamp: str
    as_of: str
    data_until: str | None
    rows_used: int | None
    warmup_complete: bool | None
    correlation_matrix: Matrix
    market: Market


class CorrelationMetadata(Answer):
    """Where the matrix comes from."""

    data_completeness: float | None = Field(description="Mean completeness of the pairs asked for, in percent.")
    last_updated: str = Field(description="When it was computed.")
    as_of: str = Field(description="The instant that it is about: nothing later went in.")
    data_until: str | None = Field(description="Close of the newest candle that went in.")
    rows_used: int | None
    warmup_complete: bool | None = Field(description="Whether every pair had enough candles for what is recursive.")
    benchmark: str | None
    collection: str


class CorrelationAnswer(Answer):
    """Correlation of some pairs. What is not known of a pair is null."""

    pairs: list[str]
    period: str
    metric: str
    method: str
    window: str
    correlation_matrix: Matrix
    details: dict[str, BesideBenchmark | None]
    market: Market
    values: list[MatrixValue] | None = Field(default=None, description="History, when asked for by limit.")
    metadata: CorrelationMetadata
    explain: Explanation | None = None


def add_correlation(api: FastAPI, reader: AnalysisReader) -> None:
    """Add the route."""

    async def read(query: Annotated[CorrelationQuery, Query()]) -> JsonResponse:
        return JsonResponse(await correlation(reader, query))

    api.add_api_route(
        "/analysis/correlation",
        read,
        name="correlation",
        summary="Correlation of pairs with each other and with the benchmark",
        response_model=CorrelationAnswer,
        responses={404: {"description": "There is no matrix in the span that was asked for, or none of its pairs."}},
    )


async def correlation(reader: AnalysisReader, query: CorrelationQuery) -> dict[str, object]:
    """Return the newest matrix, restricted to the pairs asked for, and what belongs to it.

    Raises:
        NotFound: there is no matrix, or none of the pairs is in it.
    """
    document = await reader.newest(MARKET, CORRELATION_MATRIX, query.period, start_ms=query.start, end_ms=query.end)
    matrix: Document = {} if document is None else _body(document)["matrix"]
    if document is None or not matrix.keys() & set(query.pairs):
        raise NotFound(f"No correlation data available for {', '.join(query.pairs)} {query.period}")
    details = await _details(reader, query, document.as_of_ms)
    return {
        "pairs": query.pairs,
        "period": query.period,
        "metric": CORRELATION.name,
        "method": METHOD,
        "window": query.window,
        "correlation_matrix": restricted(matrix, query.pairs),
        "details": {pair: _detail(details[pair]) for pair in query.pairs},
        "market": _market(_body(document)),
        **(await _history(reader, query)),
        "metadata": {
            "data_completeness": _completeness(details.values()),
            "last_updated": to_iso(document.computed_at_ms),
            "as_of": to_iso(document.as_of_ms),
            **{name: _body(document).get(name) for name in ("data_until", "rows_used", "warmup_complete")},
            "benchmark": _body(document).get("metadata", {}).get("parameters", {}).get("benchmark"),
            "collection": COLLECTION,
        },
        **({"explain": explained(document, [*matrix])} if query.explain else {}),
    }


def restricted(matrix: Document, pairs: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Return the cells of some pairs; null where the matrix does not have one."""
    return {pair: {other: matrix.get(pair, {}).get(other) for other in pairs} for pair in pairs}


async def _details(
    reader: AnalysisReader, query: CorrelationQuery, as_of_ms: int
) -> dict[str, AnalyticsDocument | None]:
    """Return the documents of the pairs that were computed together with the matrix."""
    found = await asyncio.gather(
        *(
            reader.newest(pair, metrics.CORRELATION.name, query.period, start_ms=as_of_ms, end_ms=as_of_ms + 1)
            for pair in query.pairs
        )
    )
    return dict(zip(query.pairs, found, strict=True))


async def _history(reader: AnalysisReader, query: CorrelationQuery) -> dict[str, object]:
    if query.limit is None:
        return {}
    window = Window(query.start, reader.end_ms(query.end), query.limit, order="desc")
    documents = await reader.documents(MARKET, CORRELATION_MATRIX, query.period, window)
    return {"values": [_matrix_value(document, query.pairs) for document in documents]}


def _matrix_value(document: AnalyticsDocument, pairs: Sequence[str]) -> dict[str, object]:
    body = _body(document)
    return {
        "timestamp": to_iso(document.computed_at_ms),
        "as_of": to_iso(document.as_of_ms),
        "data_until": body.get("data_until"),
        "rows_used": body.get("rows_used"),
        "warmup_complete": body.get("warmup_complete"),
        "correlation_matrix": restricted(body.get("matrix", {}), pairs),
        "market": _market(body),
    }


def _detail(document: AnalyticsDocument | None) -> dict[str, object] | None:
    if document is None:
        return None
    return {name: document.body.get(name) for name in BesideBenchmark.model_fields}


def _market(body: Document) -> dict[str, object]:
    return {name: body.get(name) for name in Market.model_fields}


def _completeness(documents: Iterable[AnalyticsDocument | None]) -> float | None:
    """Return the mean of what the documents say about their input; nothing without any."""
    shares = [_body(one).get("metadata", {}).get("completeness") for one in documents if one is not None]
    known = [share for share in shares if share is not None]
    return round(fmean(known), 2) if known else None


def _body(document: AnalyticsDocument) -> Document:
    return document.body
