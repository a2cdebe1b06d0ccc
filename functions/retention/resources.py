"""What retention works with."""

from dataclasses import dataclass

from common.host import Context
from common.storage.deferred import DeferredMetadata
from common.storage.ports import AnalyticsStore, MarketStore
from functions.retention.rules import Stores
from functions.retention.sweeping import Sweeper


@dataclass(frozen=True, slots=True)
class Resources:
    """The surroundings and all stores, each of which keeps something that grows old."""

    context: Context
    market: MarketStore
    analytics: AnalyticsStore
    metadata: DeferredMetadata

    async def ready(self) -> None:
        """Ask the stores."""
        for store in (self.market, self.analytics, self.metadata):
            await store.ping()

    async def sweeper(self) -> Sweeper:
        """Return what deletes by the configured rules."""
        stores = Stores(self.market, self.analytics, await self.metadata.open())
        return Sweeper(stores, self.context.settings, self.context.clock)
