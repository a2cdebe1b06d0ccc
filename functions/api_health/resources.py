"""What the health routes ask."""

from dataclasses import dataclass

from common.clock import Clock
from common.settings import Settings
from common.storage.deferred import DeferredMetadata
from common.storage.ports import AnalyticsStore, MarketStore
from functions.api_health.bridge import Bridge


@dataclass(frozen=True, slots=True)
class Resources:
    """The three stores, the bridge, and what the configuration says about them."""

    settings: Settings
    clock: Clock
    market: MarketStore
    analytics: AnalyticsStore
    metadata: DeferredMetadata
    bridge: Bridge
