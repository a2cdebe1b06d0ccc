"""What the health routes ask. The group starts without any of it: telling what is missing is its job."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from common.clock import Clock
from common.settings import Settings
from common.storage.ports import AnalyticsStore, MarketStore, MetadataStore
from functions.api_health.bridge import Bridge


class Closable(Protocol):
    """What every store can do."""

    async def close(self) -> None:
        """Release the store."""
        ...


StoreT = TypeVar("StoreT", bound=Closable)


class Deferred(Generic[StoreT]):
    """A store that is opened when it is first asked for, and again later when that failed."""

    def __init__(self, opener: Callable[[], Awaitable[StoreT]]) -> None:
        self._opener = opener
        self._store: StoreT | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> StoreT:
        """Return the store.

        Raises:
            StoreUnavailable: it cannot be opened now.
        """
        async with self._opening:
            if self._store is None:
                self._store = await self._opener()
            return self._store

    async def close(self) -> None:
        """Release the store if it was opened."""
        if self._store is not None:
            await self._store.close()


@dataclass(frozen=True, slots=True)
class Resources:
    """The three stores, the bridge, and what the configuration says about them."""

    settings: Settings
    clock: Clock
    market: Deferred[MarketStore]
    analytics: Deferred[AnalyticsStore]
    metadata: Deferred[MetadataStore]
    bridge: Bridge

    async def close(self) -> None:
        """Release everything that was opened."""
        for part in (self.market, self.analytics, self.metadata, self.bridge):
            await part.close()
