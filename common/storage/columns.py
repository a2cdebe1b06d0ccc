"""Candles as columns: what the calculators compute on. numpy is imported only by whoever makes or reads one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CandleColumns:
    """Closed candles, ascending by open time, each column of shape ``(n,)``.

    ``quote_volume``, ``trades_count`` and ``taker_buy_volume`` are NaN where the source did not have them.
    """

    open_time_ms: "NDArray[np.int64]"
    open: "NDArray[np.float64]"
    high: "NDArray[np.float64]"
    low: "NDArray[np.float64]"
    close: "NDArray[np.float64]"
    volume: "NDArray[np.float64]"
    quote_volume: "NDArray[np.float64]"
    trades_count: "NDArray[np.float64]"
    taker_buy_volume: "NDArray[np.float64]"

    def __len__(self) -> int:
        """Return the number of candles."""
        return len(self.open_time_ms)
