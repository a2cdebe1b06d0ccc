"""Closed candles as numpy columns. Loaded on the first such read only, because it imports numpy."""

import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from common.storage.columns import CandleColumns

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SELECT: Final = """
    SELECT time_ms, open, high, low, close, volume, quote_volume, trades_count, taker_buy_volume FROM candles
    WHERE symbol = ? AND timeframe = ? AND is_closed AND time_ms >= ? AND time_ms <= ?
    ORDER BY time_ms DESC LIMIT ?
"""
_COLUMNS: Final = 9
_ALL: Final = -1


def candle_columns(
    connection: sqlite3.Connection, symbol: str, timeframe: str, opened: tuple[int, int], bars: int | None
) -> CandleColumns:
    """Read the newest ``bars`` closed candles that opened within ``opened``, both ends included.

    Texts become numbers by ``float()`` itself: SQLite's own conversion rounds some of them differently.
    """
    limit = _ALL if bars is None else bars
    rows = connection.execute(_SELECT, (symbol, timeframe, *opened, limit)).fetchall()
    rows.reverse()
    times, *numbers = zip(*rows, strict=True) if rows else ((),) * _COLUMNS
    required = (_floats(column, len(rows)) for column in numbers[:5])
    optional = (_floats(map(_known, column), len(rows)) for column in numbers[5:])
    return CandleColumns(np.array(times, dtype=np.int64), *required, *optional)


def _floats(column: Iterable[Any], count: int) -> "NDArray[np.float64]":
    return np.fromiter(map(float, column), np.float64, count)


def _known(value: object) -> object:
    return "nan" if value is None else value
