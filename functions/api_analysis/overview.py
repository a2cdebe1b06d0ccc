"""``/analysis/market-overview``: the newest volatility, volume, trend and regime of several pairs at a glance."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from common.analytics.calculators.regime import REGIME
from common.analytics.calculators.trend import TREND
from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.calculators.volume import VOLUME
from common.analytics.declaration import Field as Declared
from common.analytics.declaration import Metric, Record
from common.host.answers import Answer, Pagination, pagination
from common.host.parameters import Offset, Period, Query, SortOrder
from common.storage.ports import AnalyticsDocument
from common.timeframes import Timeframe
from common.times import to_iso
from functions.api_analysis.explanation import explained
from functions.api_analysis.models import Explanation, record_model
from functions.api_analysis.pairs import Pairs
from functions.api_analysis.reader import AnalysisReader, Reading

DEFAULT_PAIRS: Final = ("BTCUSDT", "ETHUSDT")

SortBy = Literal["symbol", "volatility", "volume", "trend"]


class OverviewQuery(Query):
    """Which pairs, all of them or a page, in which order; without one, as they were given."""

    pairs: Pairs = DEFAULT_PAIRS
    period: Period = Timeframe.H1
    limit: Annotated[
        int | None, Field(ge=1, le=100, description="Pairs in the answer, at most; without it, all that are asked for.")
    ] = None
    offset: Offset = 0
    sort_by: SortBy | None = Field(
        default=None, description="Symbol, annualised volatility, volume spike ratio or rate of change."
    )
    sort_order: SortOrder = Field(default="asc", description="Order by `sort_by`; what is not known comes last.")
    explain: bool = Field(default=False, description="Add what the documents were computed from.")


def _part(metric: Metric, **names: str) -> Record:
    """Return some fields of a metric's documents under the names that the overview gives them."""
    declared = {field.key: field for field in metric.fields}
    fields = (declared[stored]._replace(name=name, stored=stored) for name, stored in names.items())
    return Record(f"{metric.name.title()}Part", f"{metric.says}.", tuple(fields))


PARTS: Final = {
    VOLATILITY.name: _part(VOLATILITY, annualized="annualized_volatility"),
    VOLUME.name: _part(VOLUME, spike_ratio="volume_spike_ratio"),
    TREND.name: _part(TREND, direction="crossover_signal", roc="rate_of_change"),
    REGIME.name: _part(REGIME, classification="regime", confidence="confidence"),
}
PAIR: Final = Record(
    "PairOverview",
    "One pair; what is not known is null.",
    tuple(Declared(name, "", part.says, shape=part, always=True) for name, part in PARTS.items()),
)


class OverviewBase(Answer):
    """Several pairs; one without any document is null."""

    period: str
    timestamp: str = Field(description="When it was answered.")
    pairs_requested: int = Field(description="How many pairs were asked for.")
    pairs_available: int = Field(description="Of those requested, how many have a document.")
    pagination: Pagination
    explain: dict[str, list[Explanation]] | None = Field(default=None, description="By pair, when asked for.")


_BY_PAIR: Final[dict[str, Any]] = {
    "overview": (dict[str, record_model(PAIR) | None], Field(description="By pair."))  # type: ignore[misc] # made at run time
}
OverviewAnswer: Final = create_model("OverviewAnswer", __base__=OverviewBase, **_BY_PAIR)


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest documents of a pair by metric; those that there are."""

    pair: str
    documents: Mapping[str, AnalyticsDocument]

    def field(self, metric: str, name: str) -> str | None:
        """Return a field of a document, if it is known."""
        document = self.documents.get(metric)
        value = None if document is None else document.body.get(name)
        return None if value is None else str(value)

    def number(self, metric: str, name: str) -> float | None:
        """Return the same as a number to sort by."""
        text = self.field(metric, name)
        return None if text is None else float(text)


_SORT_KEYS: Final[Mapping[str, Callable[[Newest], float | str | None]]] = {
    "symbol": lambda one: one.pair,
    "volatility": lambda one: one.number("volatility", "annualized_volatility"),
    "volume": lambda one: one.number("volume", "volume_spike_ratio"),
    "trend": lambda one: one.number("trend", "rate_of_change"),
}


async def overview(reader: AnalysisReader, query: OverviewQuery) -> Reading:
    """Return the newest documents of the pairs asked for: of all of them, unless a page is."""
    found = await asyncio.gather(*(_newest(reader, pair, query.period) for pair in query.pairs))
    limit = len(found) if query.limit is None else query.limit
    page = ordered(found, query)[query.offset : query.offset + limit]
    body = {
        "overview": {one.pair: _shown(one) for one in page},
        "period": query.period,
        "timestamp": to_iso(reader.now_ms()),
        "pairs_requested": len(found),
        "pairs_available": sum(bool(one.documents) for one in found),
        "pagination": pagination(len(found), limit=limit, offset=query.offset),
    }
    if query.explain:
        body["explain"] = {one.pair: [explained(document) for document in one.documents.values()] for one in page}
    return Reading(body, [document for one in page for document in one.documents.values()])


async def _newest(reader: AnalysisReader, pair: str, period: Timeframe) -> Newest:
    found = [await reader.newest(pair, metric, period) for metric in PARTS]
    return Newest(pair, {document.metric: document for document in found if document is not None})


def ordered(found: Sequence[Newest], query: OverviewQuery) -> list[Newest]:
    """Return the pairs in the order asked for; those without a value last, whatever the order."""
    if query.sort_by is None:
        return [*found]
    key = _SORT_KEYS[query.sort_by]
    known = [one for one in found if key(one) is not None]
    unknown = [one for one in found if key(one) is None]
    known.sort(key=lambda one: (key(one), one.pair), reverse=query.sort_order == "desc")
    return known + unknown


def _shown(one: Newest) -> dict[str, dict[str, str | None]] | None:
    if not one.documents:
        return None
    return {name: {field.name: one.field(name, field.key) for field in part.fields} for name, part in PARTS.items()}
