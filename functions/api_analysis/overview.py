"""``/analysis/market-overview``: the newest volatility, volume, trend and regime of several pairs at a glance."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from common.analytics.calculators.regime import REGIME
from common.analytics.calculators.trend import TREND
from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.calculators.volume import VOLUME
from common.host.answers import Answer, Pagination, pagination
from common.host.parameters import Offset, Period, Query, SortOrder
from common.storage.ports import AnalyticsDocument
from common.timeframes import Timeframe
from common.times import to_iso
from functions.api_analysis.explanation import explained
from functions.api_analysis.models import Explanation
from functions.api_analysis.pairs import Pairs
from functions.api_analysis.reader import AnalysisReader, Reading

DEFAULT_PAIRS: Final = ("BTCUSDT", "ETHUSDT")
METRICS: Final = (VOLATILITY.name, VOLUME.name, TREND.name, REGIME.name)

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


class VolatilityPart(Answer):
    """Volatility."""

    annualized: str | None


class VolumePart(Answer):
    """Volume."""

    spike_ratio: str | None = Field(description="Last closed volume over the usual one.")


class TrendPart(Answer):
    """Trend."""

    direction: str | None = Field(description="bullish or bearish: SMA 20 against SMA 50.")
    roc: str | None = Field(description="Rate of change, in percent.")


class RegimePart(Answer):
    """Regime."""

    classification: str | None
    confidence: str | None


class PairOverview(Answer):
    """One pair; what is not known is null."""

    volatility: VolatilityPart
    volume: VolumePart
    trend: TrendPart
    regime: RegimePart


class OverviewAnswer(Answer):
    """Several pairs; one without any document is null."""

    overview: dict[str, PairOverview | None]
    period: str
    timestamp: str
    pairs_requested: int
    pairs_available: int = Field(description="Of those requested, how many have a document.")
    pagination: Pagination
    explain: dict[str, list[Explanation]] | None = None


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
    found = [await reader.newest(pair, metric, period) for metric in METRICS]
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
    return {
        "volatility": {"annualized": one.field("volatility", "annualized_volatility")},
        "volume": {"spike_ratio": one.field("volume", "volume_spike_ratio")},
        "trend": {
            "direction": one.field("trend", "crossover_signal"),
            "roc": one.field("trend", "rate_of_change"),
        },
        "regime": {
            "classification": one.field("regime", "regime"),
            "confidence": one.field("regime", "confidence"),
        },
    }
