"""What the regime is computed from: the candles of its window, none of them stale."""

from common.analytics.metrics import REGIME
from common.analytics.window import Missing, Series, load_series
from common.events.requests import AnalyticsRequested
from common.storage.ports import MarketStore


async def load(store: MarketStore, request: AnalyticsRequested) -> Series | Missing:
    """Read the series, or tell why there can be no document."""
    return await load_series(store, REGIME, request)
