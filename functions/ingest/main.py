"""Stores the market data of one batch event. Answers 204, also when single messages of the batch were bad."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.events import Event
from common.host import Context, event_function
from common.storage.open import open_market_store
from functions.ingest.writer import Writer


@asynccontextmanager
async def open_writer(context: Context) -> AsyncIterator[Writer]:
    """Open the market store for writing."""
    store = await open_market_store(context.settings)
    try:
        yield Writer(store, context.clock)
    finally:
        await store.close()


@event_function(resources=open_writer)
async def ingest(event: Event, writer: Writer) -> None:
    await writer.store(event)
