"""Plans what is due: a tick of a schedule in, one request per job, pair and timeframe out."""

from common.events import Event
from common.host import Opening, event_function, opener
from functions.planner.planning import Planner
from functions.planner.schedules import check_metrics
from functions.planner.ticks import decode_tick


@opener
async def open_planner(opening: Opening) -> Planner:
    """Make ready to use the store of the watermarks."""
    context = opening.context
    check_metrics(context.settings)
    metadata = await opening.metadata_store()
    return Planner(metadata.open, context.sink, context.clock, context.settings)


@event_function(resources=open_planner)
async def planner(event: Event, planning: Planner) -> None:
    await planning.plan(decode_tick(event))
