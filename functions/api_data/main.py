"""Serves stored market data: ``/data/…``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.host import Context, route_group
from common.storage.open import open_market_store
from functions.api_data.reader import MarketReader
from functions.api_data.routes import build_api


@asynccontextmanager
async def open_reader(context: Context) -> AsyncIterator[MarketReader]:
    """Open the market store for reading."""
    store = await open_market_store(context.settings)
    try:
        yield MarketReader(store, context.clock)
    finally:
        await store.close()


api_data = route_group("api_data", resources=open_reader, build=build_api)
