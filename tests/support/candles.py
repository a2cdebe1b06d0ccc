"""Candles for tests: recorded klines as Binance wrote them, the check series of the analytics page, and columns."""

import csv
import gzip
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from common.models.rows import CandleRow, Origin
from common.storage.columns import CandleColumns
from common.timeframes import Timeframe

CHECK_START_MS = 1_759_276_800_000  # 2025-10-01T00:00:00Z, a Wednesday
CHECK_ROWS = 120


def recorded_rows(path: Path, symbol: str, timeframe: Timeframe) -> list[CandleRow]:
    """Read a recorded file of 12, 9 or 6 columns; its texts stay as they are."""
    with gzip.open(path, "rt", newline="") as lines:
        return [_row(line, symbol, timeframe) for line in csv.DictReader(lines)]


def _row(line: Mapping[str, str], symbol: str, timeframe: Timeframe) -> CandleRow:
    opened = int(line["open_time"])
    return CandleRow(
        symbol=symbol,
        timeframe=timeframe,
        time_ms=opened,
        open=line["open"],
        high=line["high"],
        low=line["low"],
        close=line["close"],
        volume=line["volume"],
        quote_volume=line.get("quote_volume"),
        trades_count=int(line["count"]) if "count" in line else None,
        taker_buy_volume=line.get("taker_buy_volume"),
        taker_buy_quote_volume=line.get("taker_buy_quote_volume"),
        is_closed=True,
        event_time_ms=opened + timeframe.duration_ms,
        origin=Origin.ARCHIVE,
    )


def columns_of(rows: Sequence[CandleRow]) -> CandleColumns:
    """Return rows as the columns that a store would read."""
    return CandleColumns(
        np.array([row.time_ms for row in rows], dtype=np.int64),
        *(
            _floats(getattr(row, name) for row in rows)
            for name in ("open", "high", "low", "close", "volume", "quote_volume", "trades_count", "taker_buy_volume")
        ),
    )


def _floats(values: Iterable[str | int | None]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([float("nan") if value is None else float(value) for value in values], dtype=np.float64)


def part(columns: CandleColumns, rows: slice) -> CandleColumns:
    """Return some of the candles."""
    return CandleColumns(*(getattr(columns, name)[rows] for name in CandleColumns.__slots__))


def without(columns: CandleColumns, index: int, count: int = 1) -> CandleColumns:
    """Return the candles as if some had never been stored."""
    kept = np.ones(len(columns), dtype=bool)
    kept[index : index + count] = False
    return CandleColumns(*(getattr(columns, name)[kept] for name in CandleColumns.__slots__))


def check_series() -> CandleColumns:
    """The 120 hourly candles that the check vectors were computed from."""
    index = np.arange(CHECK_ROWS)
    close = 100 + 10 * np.sin(2 * np.pi * index / 24) + 0.05 * index
    open_ = np.concatenate([[100.0], close[:-1]])
    return CandleColumns(
        open_time_ms=CHECK_START_MS + index * Timeframe.H1.duration_ms,
        open=open_,
        high=np.maximum(open_, close) + 0.5,
        low=np.minimum(open_, close) - 0.5,
        close=close,
        volume=np.asarray(1000 + 100 * (index % 7), dtype=np.float64),
        quote_volume=np.full(CHECK_ROWS, np.nan),
        trades_count=np.full(CHECK_ROWS, np.nan),
        taker_buy_volume=np.full(CHECK_ROWS, np.nan),
    )


def random_walk(rows: int, timeframe: Timeframe, *, seed: int = 1, start_ms: int = CHECK_START_MS) -> CandleColumns:
    """A market without memory: steps of one percent, ranges around them, volumes that differ."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(random.normal(0, 0.01, rows).cumsum())
    open_ = np.concatenate([[100.0], close[:-1]])
    spread = np.abs(random.normal(0, 0.004, (2, rows)))
    volume = random.lognormal(3, 0.5, rows)
    return CandleColumns(
        open_time_ms=start_ms + np.arange(rows) * timeframe.duration_ms,
        open=open_,
        high=np.maximum(open_, close) * (1 + spread[0]),
        low=np.minimum(open_, close) * (1 - spread[1]),
        close=close,
        volume=volume,
        quote_volume=volume * (open_ + close) / 2,
        trades_count=np.floor(volume * 10),
        taker_buy_volume=volume * random.uniform(0.3, 0.7, rows),
    )
