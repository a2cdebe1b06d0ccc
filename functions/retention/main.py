"""Deletes what is older than its configured age, when its schedule asks for it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from common.events import Event
from common.events.requests import decode_retention_requested
from common.host import Context, event_function
from common.storage.open import open_analytics_store, open_market_store, open_metadata_store
from functions.retention.rules import Stores
from functions.retention.sweeping import Sweeper


@asynccontextmanager
async def open_sweeper(context: Context) -> AsyncIterator[Sweeper]:
    """Open all stores: each keeps something that grows old."""
    async with AsyncExitStack() as opened:
        market = await open_market_store(context.settings)
        opened.push_async_callback(market.close)
        analytics = await open_analytics_store(context.settings)
        opened.push_async_callback(analytics.close)
        metadata = await open_metadata_store(context.settings)
        opened.push_async_callback(metadata.close)
        yield Sweeper(Stores(market, analytics, metadata), context.settings, context.clock)


@event_function(resources=open_sweeper)
async def retention(event: Event, sweeper: Sweeper) -> None:
    decode_retention_requested(event)
    await sweeper.sweep()
