"""Closed candles as numpy columns. Loaded on the first such read only, because it imports numpy."""

import sqlite3
from typing import TYPE_CHECKING, Final

import numpy as np

from common.models.families import Series
from common.storage.columns import CandleColumns

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REQUIRED: Final = ("time_ms", "open", "high", "low", "close", "volume")
_OPTIONAL: Final = ("quote_volume", "trades_count", "taker_buy_volume")
# A column as one text costs half of what its values one by one do. All columns are joined in one and the same order,
# that of the inner query; no number holds a comma.
_JOINED: Final = ", ".join(
    [f"group_concat({column})" for column in _REQUIRED]
    + [f"group_concat(coalesce({column}, 'nan'))" for column in _OPTIONAL]
)
_SELECT: Final = f"""
    SELECT {_JOINED} FROM (
        SELECT * FROM candles
        WHERE symbol = ? AND timeframe = ? AND is_closed AND time_ms >= ? AND time_ms <= ?
        ORDER BY time_ms DESC LIMIT ?
    )
"""  # noqa: S608 - names of columns
_ALL: Final = -1


def candle_columns(
    connection: sqlite3.Connection, series: Series, opened: tuple[int, int], bars: int | None
) -> CandleColumns:
    """Read the newest ``bars`` closed candles that opened within ``opened``, both ends included.

    Texts become numbers by ``float()`` itself: SQLite's own conversion rounds some of them differently.
    """
    limit = _ALL if bars is None else bars
    joined = connection.execute(_SELECT, (*series.scope, *opened, limit)).fetchone()
    times, *numbers = (text.split(",") if text else [] for text in joined)
    return CandleColumns(np.fromiter(map(int, reversed(times)), np.int64, len(times)), *map(_floats, numbers))


def _floats(texts: list[str]) -> "NDArray[np.float64]":
    return np.fromiter(map(float, reversed(texts)), np.float64, len(texts))
