"""What is deleted at which age: the settings ``PETROSA_RETENTION_*`` as rules over the stores."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from common.models.dead_letters import DEAD_LETTERS
from common.models.families import FAMILIES, Family
from common.settings import Settings, duration_ms
from common.storage.ports import AnalyticsStore, MarketStore, MetadataStore

# Deletes at most ``limit`` rows older than ``cutoff_ms`` and returns how many went: ``delete(cutoff_ms, limit)``.
Delete = Callable[[int, int], Awaitable[int]]

# Tells the time of the newest row, or None when there is no row: ``newest_ms()``.
Newest = Callable[[], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class Stores:
    """Where data grow old."""

    market: MarketStore
    analytics: AnalyticsStore
    metadata: MetadataStore


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of data and the age at which it goes.

    The age of market data counts from the newest row of its family, which on a living system is the present. So
    recorded data that are replayed stay as long as live ones, and a clock that jumps ahead empties no store.

    Attributes:
        name: of what is deleted.
        age_ms: how old it may become.
        delete: deletes it.
        newest_ms: tells from when ages count; without it that is the present.
    """

    name: str
    age_ms: int
    delete: Delete
    newest_ms: Newest | None = None


_DEAD_LETTERS: Final = "petrosa_retention_dead_letter"
_ANALYTICS: Final = "petrosa_retention_analytics"
_HEALTH: Final = "petrosa_retention_health"


def rules_of(settings: Settings, stores: Stores) -> list[Rule]:
    """Return a rule for every kind of data that has an age; what has none is kept for ever."""
    return [make(duration_ms(age)) for setting, make in _deletions(stores) if (age := getattr(settings, setting))]


def _deletions(stores: Stores) -> Iterator[tuple[str, Callable[[int], Rule]]]:
    """Yield what can be deleted: the setting's name, and what makes the rule of an age."""
    market, analytics, metadata = stores.market, stores.analytics, stores.metadata
    yield from ((spec.retention, _of_family(market, family)) for family, spec in FAMILIES.items() if spec.retention)
    yield _DEAD_LETTERS, _of_clock(DEAD_LETTERS, partial(market.delete, "dead_letters"))
    yield _ANALYTICS, _of_clock("analytics", analytics.delete_analytics_before)
    yield _HEALTH, _of_clock("health_metrics", metadata.delete_health_before)


def _of_family(store: MarketStore, family: Family) -> Callable[[int], Rule]:
    delete = partial(store.delete, family)
    return lambda age_ms: Rule(family.value, age_ms, _limited(delete), partial(store.newest_ms, family))


def _of_clock(name: str, delete: Callable[..., Awaitable[int]]) -> Callable[[int], Rule]:
    return lambda age_ms: Rule(name, age_ms, _limited(delete))


def _limited(delete: Callable[..., Awaitable[int]]) -> Delete:
    return lambda cutoff_ms, limit: delete(cutoff_ms, limit=limit)
