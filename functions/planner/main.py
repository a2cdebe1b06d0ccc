"""Plans what is due: a tick of a schedule in, one request per job, pair and timeframe out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.events import Event
from common.host import Context, event_function
from common.storage.open import open_metadata_store
from functions.planner.planning import Planner
from functions.planner.schedules import check_metrics
from functions.planner.ticks import decode_tick


@asynccontextmanager
async def open_planner(context: Context) -> AsyncIterator[Planner]:
    """Open the store of the watermarks."""
    check_metrics(context.settings)
    metadata = await open_metadata_store(context.settings)
    try:
        yield Planner(metadata, context.sink, context.clock, context.settings)
    finally:
        await metadata.close()


@event_function(resources=open_planner)
async def planner(event: Event, planning: Planner) -> None:
    await planning.plan(decode_tick(event))
