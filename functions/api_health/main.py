"""Serves the state of the system: ``/``, ``/health…``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.host import Context, route_group
from common.storage.deferred import DeferredMetadata
from common.storage.open import open_analytics_store, open_market_store, open_metadata_store
from functions.api_health.bridge import HttpBridge
from functions.api_health.components import ANSWER_TIMEOUT_S
from functions.api_health.resources import Resources
from functions.api_health.routes import build_api


@asynccontextmanager
async def open_resources(context: Context) -> AsyncIterator[Resources]:
    """Open the stores of market data and analytics; make ready to ask the rest."""
    settings = context.settings
    resources = Resources(
        settings=settings,
        clock=context.clock,
        market=await open_market_store(settings),
        analytics=await open_analytics_store(settings),
        metadata=DeferredMetadata(lambda: open_metadata_store(settings)),
        bridge=HttpBridge(settings.bridge_health_url, timeout_s=ANSWER_TIMEOUT_S),
    )
    try:
        yield resources
    finally:
        await resources.close()


api_health = route_group("api_health", resources=open_resources, build=build_api)
