"""Keeps what could not be processed, so that an operator can read why."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.events import Event
from common.host import Context, event_function
from common.storage.open import open_market_store
from functions.dead_letter.archive import Archive


@asynccontextmanager
async def open_archive(context: Context) -> AsyncIterator[Archive]:
    """Open the store of dead letters."""
    store = await open_market_store(context.settings)
    try:
        yield Archive(store, context.clock)
    finally:
        await store.close()


@event_function(resources=open_archive)
async def dead_letter(event: Event, archive: Archive) -> None:
    await archive.keep(event)
