"""Deletes what is older than its configured age, when its schedule asks for it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from common.events import Event
from common.events.own import RetentionRequested
from common.host import Context, event_function
from common.storage.deferred import defer_metadata_store
from common.storage.open import open_analytics_store, open_market_store
from functions.retention.resources import Resources


@asynccontextmanager
async def open_resources(context: Context) -> AsyncIterator[Resources]:
    """Open the stores; that of metadata when there is something to delete."""
    async with AsyncExitStack() as opened:
        market = await open_market_store(context.settings)
        opened.push_async_callback(market.close)
        analytics = await open_analytics_store(context.settings)
        opened.push_async_callback(analytics.close)
        metadata = await defer_metadata_store(context.settings)
        opened.push_async_callback(metadata.close)
        yield Resources(context, market, analytics, metadata)


@event_function(resources=open_resources)
async def retention(event: Event, resources: Resources) -> None:
    RetentionRequested.of(event)
    await (await resources.sweeper()).sweep()
