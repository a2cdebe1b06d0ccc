"""Stores the market data of one batch event. Answers 204, also when single messages of the batch were bad."""

from common.events import Event
from common.host import Opening, event_function, opener
from functions.ingest.writer import Writer


@opener
async def open_writer(opening: Opening) -> Writer:
    """Open the market store for writing."""
    return Writer(await opening.market_store(), opening.context.clock)


@event_function(resources=open_writer)
async def ingest(event: Event, writer: Writer) -> None:
    await writer.store(event)
