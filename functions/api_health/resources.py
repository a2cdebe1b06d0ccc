"""What the health routes ask."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from common.clock import Clock
from common.settings import Settings
from common.storage.ports import AnalyticsStore, MarketStore, MetadataStore
from functions.api_health.bridge import Bridge


class DeferredMetadata:
    """The metadata store, opened when it is first asked for: its SQL library would double the time to the first answer.

    Args:
        opener: opens the store.
    """

    def __init__(self, opener: Callable[[], Awaitable[MetadataStore]]) -> None:
        self._opener = opener
        self._store: MetadataStore | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> MetadataStore:
        """Return the store."""
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
    """The three stores, the bridge, and what the configuration says about them.

    There is no ``ready`` here on purpose: the group must stay reachable to tell what is wrong.
    """

    settings: Settings
    clock: Clock
    market: MarketStore
    analytics: AnalyticsStore
    metadata: DeferredMetadata
    bridge: Bridge

    async def close(self) -> None:
        """Release everything."""
        for part in (self.market, self.analytics, self.metadata, self.bridge):
            await part.close()
