"""Deletes what is older than its configured age, when its schedule asks for it."""

from common.events import Event
from common.events.own import RetentionRequested
from common.host import Opening, event_function, opener
from functions.retention.sweeping import Sweeper


@opener
async def open_sweeper(opening: Opening) -> Sweeper:
    """Open the stores; that of metadata when there is something to delete."""
    market, analytics = await opening.market_store(), await opening.analytics_store()
    metadata = await opening.metadata_store()
    return Sweeper(opening.context.settings, opening.context.clock, market, analytics, metadata.open)


@event_function(resources=open_sweeper)
async def retention(event: Event, sweeper: Sweeper) -> None:
    RetentionRequested.of(event)
    await sweeper.sweep()
