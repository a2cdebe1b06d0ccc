"""``/analysis/correlation``: the stored matrix of some pairs, each pair beside the benchmark, and the market."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, Final

from pydantic import Field, create_model

from common.analytics.calculators.correlation import CORRELATION, CORRELATION_MATRIX
from common.analytics.declaration import MARKET, Record, collection_name
from common.analytics.declaration import Field as Declared
from common.analytics.document import BASIS
from common.host.answers import Answer, Pagination
from common.host.parameters import Period, one_of
from common.storage.ports import AnalyticsDocument
from functions.api_analysis.explanation import explained
from functions.api_analysis.models import (
    CollectionName,
    Explanation,
    HistoryQuery,
    MethodName,
    MetricName,
    WindowName,
    fields_of,
    record_model,
)
from functions.api_analysis.pairs import Pairs
from functions.api_analysis.reader import AnalysisReader, Reading, basis_of, completeness_of

METHOD: Final = "pearson"

Document = Mapping[str, Any]


class CorrelationQuery(HistoryQuery):
    """Which pairs, of the newest matrix of a span; with ``start``, ``end`` or ``limit``, those before it too."""

    pairs: Pairs
    period: Period
    window: Annotated[str, one_of((CORRELATION.window,))] = Field(
        default=CORRELATION.window,
        description="Name of the window that was computed.",
        json_schema_extra={"enum": [CORRELATION.window]},
    )
    explain: bool = Field(default=False, description="Add what the matrix was computed from.")


class CorrelationMetadata(Answer):
    """Where the matrix comes from."""

    data_completeness: float | None = Field(description="Mean completeness of the pairs asked for, in percent.")
    last_updated: str = Field(description="When it was computed.")
    as_of: str = Field(description="The instant that it is about: nothing later went in.")
    data_until: str | None = Field(description="Close of the newest candle that went in.")
    rows_used: int | None = Field(description="Rows that were read, of all pairs.")
    warmup_complete: bool | None = Field(description="Whether every pair had enough candles for what is recursive.")
    benchmark: str | None = Field(description="The pair that the others are compared with.")
    collection: CollectionName


class CorrelationBase(Answer):
    """Correlation of some pairs. What is not known of a pair is null."""

    pairs: list[str] = Field(description="The pairs asked for.")
    period: str
    metric: MetricName
    method: MethodName
    window: WindowName
    pagination: Pagination | None = Field(default=None, description="Of the history.")
    metadata: CorrelationMetadata
    explain: Explanation | None = Field(default=None, description="Of the matrix, when asked for.")


# A pair's row of the matrix stands in the matrix, and not in its details once more.
BESIDE_BENCHMARK: Final = Record(
    "BesideBenchmark",
    "How a pair moves beside the benchmark.",
    tuple(field for field in CORRELATION.fields if field.name != "correlation_matrix"),
)
MATRIX, *_in_common = CORRELATION_MATRIX.fields
IN_COMMON: Final = Record("Market", "What all pairs of the stored matrix have in common.", tuple(_in_common))
WHOLE: Final = (
    MATRIX._replace(says="Cells of the pairs asked for.", always=True),
    Declared("market", "", IN_COMMON.says, shape=IN_COMMON, always=True),
)
MATRIX_VALUE: Final = Record("MatrixValue", "One matrix of the history.", (*BASIS, *WHOLE))
_ANSWER: Final[dict[str, Any]] = {
    **fields_of(WHOLE),
    "details": (
        dict[str, record_model(BESIDE_BENCHMARK) | None],  # type: ignore[misc] # made at run time
        Field(description=BESIDE_BENCHMARK.says),
    ),
    "values": (
        list[record_model(MATRIX_VALUE)] | None,  # type: ignore[misc]
        Field(default=None, description="History, when asked for by start, end or limit."),
    ),
}
CorrelationAnswer: Final = create_model("CorrelationAnswer", __base__=CorrelationBase, **_ANSWER)


async def correlation(reader: AnalysisReader, query: CorrelationQuery) -> Reading:
    """Return the newest matrix, restricted to the pairs asked for, and what belongs to it.

    Raises:
        NotFound: there is no matrix, or none of the pairs is in it.
    """
    series = (MARKET, CORRELATION_MATRIX.name, query.period)
    document = await reader.newest(*series, start_ms=query.start, end_ms=query.end)
    matrix: Document = {} if document is None else _body(document)[MATRIX.key]
    head: dict[str, object] = {
        "pairs": query.pairs,
        "period": query.period,
        "metric": CORRELATION.name,
        "method": METHOD,
        "window": query.window,
    }
    if document is None or not matrix.keys() & set(query.pairs):
        about = f"correlation data available for {', '.join(query.pairs)} {query.period}"
        return reader.missing(about, {**head, MATRIX.name: {}}, *series[:2])
    details = await _details(reader, query, document.as_of_ms)
    shown = _matrix_value(document, query.pairs)
    body = {
        **head,
        **{name: shown.pop(name) for name in (MATRIX.name, "market")},
        "details": {pair: _detail(details[pair]) for pair in query.pairs},
        "metadata": {
            "data_completeness": _completeness(details.values()),
            "last_updated": shown.pop("timestamp"),
            **shown,
            "benchmark": _body(document).get("metadata", {}).get("parameters", {}).get("benchmark"),
            "collection": collection_name(MARKET, document.metric),
        },
    }
    if query.asks_for_history:
        documents, block = await reader.page(*series, query, limit=query.history_limit)
        body |= {"values": [_matrix_value(one, query.pairs) for one in documents], "pagination": block}
    if query.explain:
        body["explain"] = explained(document, [*matrix])
    return Reading(body, (document,))


def restricted(matrix: Document, pairs: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Return the cells of some pairs; null where the matrix does not have one."""
    return {pair: {other: matrix.get(pair, {}).get(other) for other in pairs} for pair in pairs}


async def _details(
    reader: AnalysisReader, query: CorrelationQuery, as_of_ms: int
) -> dict[str, AnalyticsDocument | None]:
    """Return the documents of the pairs that were computed together with the matrix."""
    found = await asyncio.gather(
        *(
            reader.newest(pair, CORRELATION.name, query.period, start_ms=as_of_ms, end_ms=as_of_ms + 1)
            for pair in query.pairs
        )
    )
    return dict(zip(query.pairs, found, strict=True))


def _matrix_value(document: AnalyticsDocument, pairs: Sequence[str]) -> dict[str, object]:
    body = _body(document)
    return {
        **basis_of(document),
        "correlation_matrix": restricted(body.get(MATRIX.key, {}), pairs),
        "market": _market(body),
    }


def _detail(document: AnalyticsDocument | None) -> dict[str, object] | None:
    if document is None:
        return None
    return {field.name: document.body.get(field.key) for field in BESIDE_BENCHMARK.fields}


def _market(body: Document) -> dict[str, object]:
    return {field.name: body.get(field.key) for field in IN_COMMON.fields}


def _completeness(documents: Iterable[AnalyticsDocument | None]) -> float | None:
    """Return the mean of what the documents say about their input; None without any."""
    shares = [completeness_of(one) for one in documents if one is not None]
    known = [share for share in shares if share is not None]
    return round(fmean(known), 2) if known else None


def _body(document: AnalyticsDocument) -> Document:
    return document.body
