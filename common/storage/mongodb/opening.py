"""Opens the stores on the MongoDB that the settings name."""

from typing import Final

from common.clock import SystemClock
from common.models.dead_letters import DEAD_LETTERS
from common.models.families import FAMILIES
from common.settings import Settings, duration_ms
from common.storage.mongodb.analytics import MongoAnalyticsStore
from common.storage.mongodb.connection import Connection, ConnectionOptions
from common.storage.mongodb.market import MongoMarketStore
from common.storage.mongodb.schema import ANALYTICS, Ages

_AGES: Final[dict[str, str]] = {
    **{family: spec.retention for family, spec in FAMILIES.items() if spec.retention},
    DEAD_LETTERS: "petrosa_retention_dead_letter",
    ANALYTICS: "petrosa_retention_analytics",
}


def open_market(settings: Settings, url: str) -> MongoMarketStore:
    """Return the market store. The clock is the machine's own: the server's TTL monitor knows no other day."""
    connection = _connection(settings, url, min_pool_size=settings.mongodb_min_pool_size)
    return MongoMarketStore(connection, _ages(settings), SystemClock())


def open_analytics(settings: Settings, url: str) -> MongoAnalyticsStore:
    """Return the analytics store. It is used in bursts, so it keeps no connections open between them."""
    return MongoAnalyticsStore(_connection(settings, url, min_pool_size=0), _ages(settings), SystemClock())


def _connection(settings: Settings, url: str, *, min_pool_size: int) -> Connection:
    return Connection(
        ConnectionOptions(
            url=url,
            database=settings.mongodb_db,
            timeout_ms=settings.mongodb_timeout_ms,
            min_pool_size=min_pool_size,
            max_pool_size=settings.mongodb_max_pool_size,
        )
    )


def _ages(settings: Settings) -> Ages:
    ages = {kind: getattr(settings, setting) for kind, setting in _AGES.items()}
    return {kind: duration_ms(age) for kind, age in ages.items() if age is not None}
