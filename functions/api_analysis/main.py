"""Serves computed analytics: ``/analysis/…``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.host import Context, route_group
from common.storage.open import open_analytics_store
from functions.api_analysis.reader import AnalysisReader
from functions.api_analysis.routes import build_api


@asynccontextmanager
async def open_reader(context: Context) -> AsyncIterator[AnalysisReader]:
    """Open the analytics store for reading."""
    store = await open_analytics_store(context.settings)
    try:
        yield AnalysisReader(store, context.clock)
    finally:
        await store.close()


api_analysis = route_group("api_analysis", resources=open_reader, build=build_api)
