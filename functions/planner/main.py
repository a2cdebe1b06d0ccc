"""Plans what is due: a tick of a schedule in, one request per job, pair and timeframe out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.events import Event
from common.host import Context, event_function
from common.storage.deferred import defer_metadata_store
from functions.planner.resources import Resources
from functions.planner.schedules import check_metrics
from functions.planner.ticks import decode_tick


@asynccontextmanager
async def open_resources(context: Context) -> AsyncIterator[Resources]:
    """Make ready to use the store of the watermarks."""
    check_metrics(context.settings)
    metadata = await defer_metadata_store(context.settings)
    try:
        yield Resources(context, metadata)
    finally:
        await metadata.close()


@event_function(resources=open_resources)
async def planner(event: Event, resources: Resources) -> None:
    tick = decode_tick(event)
    await (await resources.planner()).plan(tick)
