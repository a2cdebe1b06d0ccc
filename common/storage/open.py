"""Opens the stores that the settings choose, each behind its circuit breaker. Adapters load when they are chosen.

A store that cannot be reached yet is opened all the same: its process starts, says that it is not ready, and works as
soon as the store does.
"""

import logging
from typing import Protocol, TypeVar

from common.errors import StoreUnavailable
from common.settings import Settings
from common.storage.breaker import Breaker, guarded
from common.storage.ports import AnalyticsStore, MarketStore, MetadataStore

log = logging.getLogger(__name__)


class _Store(Protocol):
    async def ping(self, *, write: bool = False) -> None: ...


S = TypeVar("S", bound=_Store)


async def open_market_store(settings: Settings) -> MarketStore:
    """Open the store of market data and dead letters.

    Raises:
        ConfigurationError: the address of the server is not usable.
    """
    store: MarketStore
    if settings.mongodb_address:
        from common.storage.mongodb import opening

        store = opening.open_market(settings, settings.mongodb_address)
    else:
        from common.storage.sqlite.market import SqliteMarketStore

        store = SqliteMarketStore(settings.petrosa_data_dir, busy_timeout_ms=settings.store_busy_timeout_ms)
    return await _opened(store, "market_store", settings)


async def open_analytics_store(settings: Settings) -> AnalyticsStore:
    """Open the store of computed documents.

    Raises:
        ConfigurationError: the address of the server is not usable.
    """
    store: AnalyticsStore
    if settings.mongodb_address:
        from common.storage.mongodb import opening

        store = opening.open_analytics(settings, settings.mongodb_address)
    else:
        from common.storage.sqlite.analytics import SqliteAnalyticsStore

        store = SqliteAnalyticsStore(settings.petrosa_data_dir, busy_timeout_ms=settings.store_busy_timeout_ms)
    return await _opened(store, "analytics_store", settings)


async def open_metadata_store(settings: Settings) -> MetadataStore:
    """Open the store of the catalog, audits, health scores, jobs and watermarks.

    Raises:
        ConfigurationError: the settings name a server that can never be used as they are.
    """
    if settings.mysql_url is not None:
        from common.storage.sql_metadata.mysql import open_mysql

        return await _opened(open_mysql(settings), "metadata_store", settings)
    from common.storage.sql_metadata.store import open_sqlite

    store = open_sqlite(settings.petrosa_data_dir, busy_timeout_ms=settings.store_busy_timeout_ms)
    return await _opened(store, "metadata_store", settings)


async def _opened(store: S, name: str, settings: Settings) -> S:
    """Return the store behind its breaker, once it was asked for a sign of life."""
    breaker = Breaker(
        name,
        failure_threshold=settings.circuit_breaker_failure_threshold,
        recovery_timeout_s=settings.circuit_breaker_recovery_timeout,
    )
    store = guarded(store, breaker)
    try:
        await store.ping()
    except StoreUnavailable as error:
        log.warning("store was not available at start", extra={"store": name, "error": str(error)})
    return store
