"""What is deleted at which age: the settings ``PETROSA_RETENTION_*`` as rules over the stores."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from common.models.rows import Family
from common.settings import Settings, duration_ms
from common.storage.ports import AnalyticsStore, MarketStore, MetadataStore

# Deletes at most ``limit`` rows older than ``cutoff_ms`` and returns how many went: ``delete(cutoff_ms, limit)``.
Delete = Callable[[int, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Stores:
    """Where data grow old."""

    market: MarketStore
    analytics: AnalyticsStore
    metadata: MetadataStore


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of data and the age at which it goes."""

    name: str
    age_ms: int
    delete: Delete


_MARKET_PARTS: Final[dict[str, tuple[Family | Literal["dead_letters"], ...]]] = {
    "depth": (Family.DEPTH,),
    "ticker": (Family.TICKERS,),
    "trade": (Family.TRADES, Family.AGG_TRADES),
    "markprice": (Family.MARK_PRICES,),
    "candle": (Family.CANDLES,),
    "funding": (Family.FUNDING_RATES,),
    "dead_letter": ("dead_letters",),
}


def rules_of(settings: Settings, stores: Stores) -> list[Rule]:
    """Return a rule for every kind of data that has an age; what has none is kept for ever."""
    return [
        Rule(name, duration_ms(age), delete)
        for kind, name, delete in _deletions(stores)
        if (age := getattr(settings, f"petrosa_retention_{kind}"))
    ]


def _deletions(stores: Stores) -> Iterator[tuple[str, str, Delete]]:
    """Yield what can be deleted: the setting's name, the data's own, and how."""
    for kind, parts in _MARKET_PARTS.items():
        yield from ((kind, str(part), _of_market(stores.market, part)) for part in parts)
    yield "analytics", "analytics", lambda cutoff, limit: stores.analytics.delete_analytics_before(cutoff, limit=limit)
    yield "health", "health_metrics", lambda cutoff, limit: stores.metadata.delete_health_before(cutoff, limit=limit)


def _of_market(store: MarketStore, part: Family | Literal["dead_letters"]) -> Delete:
    return lambda cutoff_ms, limit: store.delete_before(part, cutoff_ms, limit=limit)
