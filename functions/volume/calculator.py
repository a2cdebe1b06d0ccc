"""The volume document (infra/docs/fields.md), from closed candles.

Sums and ratios are those of the window (24 hours, at least 24 bars); the exponential average and on-balance volume
run over all rows that were read. What cannot be computed is NaN, which the document turns into null.
"""

from typing import Final

from common.analytics.document import Result, Value
from common.analytics.window import History
from common.indicators import volume
from common.indicators.arrays import FloatArray1D
from common.indicators.moving import ema, sma
from common.indicators.returns import log_returns

AVERAGE_WINDOW: Final = 20


def compute(history: History) -> list[Result]:
    """Return the one result of a pair and timeframe."""
    average_window = min(AVERAGE_WINDOW, history.window_rows)
    fields = {
        **of_window(history),
        **of_averages(history.candles.volume, average_window),
        "volume_spike_ratio": _last(volume.volume_spike_ratio(history.candles.volume, history.window.bars, rows=1)),
        "obv": _last(volume.on_balance_volume(history.candles.close, history.candles.volume)),
    }
    parameters = {"sma_window": average_window, "window_bars": history.window.bars}
    return [Result(history.symbol, fields, history.basis, parameters)]


def of_window(history: History) -> dict[str, Value]:
    """Return sums and ratios over the window. A sum with a missing value in it would be a guess: it is NaN."""
    rows = history.window_rows
    candles = history.candles
    base, quote, bought = candles.volume[-rows:], candles.quote_volume[-rows:], candles.taker_buy_volume[-rows:]
    returns = log_returns(candles.close, candles.open_time_ms, history.window.timeframe.duration_ms)[-rows:]
    return {
        "total_volume": float(base.sum()),
        "volume_delta": volume.volume_delta(base, bought),
        "taker_buy_ratio": volume.taker_buy_ratio(base, bought),
        "vwap": volume.vwap(base, quote),
        "amihud_illiquidity": volume.amihud_illiquidity(returns, quote),
    }


def of_averages(base: FloatArray1D, window: int) -> dict[str, Value]:
    """Return the simple and the exponential average of the last volumes."""
    return {"volume_sma": _last(sma(base, window)), "volume_ema": _last(ema(base, window))}


def _last(history: FloatArray1D) -> float:
    return float(history[-1])
