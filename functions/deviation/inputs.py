"""What deviation is computed from: the candles of its window."""

from common.analytics.metrics import DEVIATION
from common.analytics.window import Missing, Series, load_series
from common.events.requests import AnalyticsRequested
from common.storage.ports import MarketStore


async def load(store: MarketStore, request: AnalyticsRequested) -> Series | Missing:
    """Read the series, or tell why there can be no document."""
    return await load_series(store, DEVIATION, request)
