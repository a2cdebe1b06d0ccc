"""Keeps what could not be processed, so that an operator can read why."""

from common.events import Event
from common.host import Opening, event_function, opener
from functions.dead_letter.archive import Archive


@opener
async def open_archive(opening: Opening) -> Archive:
    """Open the store of dead letters."""
    return Archive(await opening.market_store(), opening.context.clock)


@event_function(resources=open_archive)
async def dead_letter(event: Event, archive: Archive) -> None:
    await archive.keep(event)
