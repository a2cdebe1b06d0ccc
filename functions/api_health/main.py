"""Serves the state of the system: ``/``, ``/health…``."""

from functools import partial

from common.host import Opening, opener, route_group
from common.storage.deferred import DeferredMetadata
from common.storage.open import open_metadata_store
from functions.api_health.bridge import HttpBridge
from functions.api_health.components import ANSWER_TIMEOUT_S
from functions.api_health.resources import Resources
from functions.api_health.routes import build_api


@opener
async def open_resources(opening: Opening) -> Resources:
    """Open the stores of market data and analytics; make ready to ask the rest, which may be away at the start."""
    settings = opening.context.settings
    metadata = DeferredMetadata(partial(open_metadata_store, settings))
    opening.at_stop(metadata.close)
    bridge = HttpBridge(settings.bridge_health_url, timeout_s=ANSWER_TIMEOUT_S)
    opening.at_stop(bridge.close)
    market, analytics = await opening.market_store(), await opening.analytics_store()
    return Resources(settings, opening.context.clock, market, analytics, metadata, bridge)


api_health = route_group("api_health", resources=open_resources, build=build_api)
