"""Candles for tests of the indicators: recorded files, the check vector, and seeded random walks."""

import csv
import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.storage.columns import CandleColumns

HOUR_MS = 3_600_000
VECTOR_START_MS = 1_759_276_800_000  # 2025-10-01T00:00:00Z, a Wednesday

_COLUMNS = {
    "open_time": "open_time_ms",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "quote_volume": "quote_volume",
    "count": "trades_count",
    "taker_buy_volume": "taker_buy_volume",
}


def recorded(folder: Path, name: str, rows: int | None = None) -> CandleColumns:
    """Read ``klines/<name>.csv.gz``, its newest ``rows`` rows; columns the file does not have are NaN."""
    with gzip.open(folder / "klines" / f"{name}.csv.gz", "rt", newline="") as text:
        lines = list(csv.DictReader(text))
    if rows is not None:
        lines = lines[-rows:]
    columns = {
        field: np.array([float(line.get(title) or "nan") for line in lines]) for title, field in _COLUMNS.items()
    }
    return CandleColumns(**{**columns, "open_time_ms": columns["open_time_ms"].astype(np.int64)})


def check_vector() -> CandleColumns:
    """The 120 candles of the published check vector: a daily cycle on a slow trend."""
    i = np.arange(120.0)
    return from_closes(100 + 10 * np.sin(2 * np.pi * i / 24) + 0.05 * i, first_open=100.0, wick=0.5)


def check_vector_follower() -> NDArray[np.float64]:
    """Closes of the second symbol of the check vector, three bars behind the first."""
    i = np.arange(120.0)
    return 50 + 10 * np.sin(2 * np.pi * (i - 3) / 24) + 0.05 * i


def from_closes(close: NDArray[np.float64], *, first_open: float, wick: float) -> CandleColumns:
    """Hourly candles that open where the one before closed, with wicks of a fixed length."""
    i = np.arange(len(close))
    opened = np.concatenate(([first_open], close[:-1]))[: len(close)]
    volume = (1000 + 100 * (i % 7)).astype(np.float64)
    return CandleColumns(
        open_time_ms=VECTOR_START_MS + i * HOUR_MS,
        open=opened,
        high=np.maximum(opened, close) + wick,
        low=np.minimum(opened, close) - wick,
        close=close,
        volume=volume,
        quote_volume=volume * close,
        trades_count=np.full(len(close), 100.0),
        taker_buy_volume=volume * 0.25,
    )


def random_walk(seed: int, rows: int, *, sigma: float = 0.01, start: float = 100.0) -> CandleColumns:
    """Hourly candles of a geometric random walk, ten steps a bar."""
    rng = np.random.default_rng(seed)
    path = np.log(start) + np.cumsum(rng.normal(0, sigma / np.sqrt(10), rows * 10)).reshape(rows, 10)
    opened = np.concatenate(([np.log(start)], path[:-1, -1]))
    volume = np.asarray(rng.lognormal(5, 1, rows), dtype=np.float64)
    close = np.exp(path[:, -1])
    return CandleColumns(
        open_time_ms=VECTOR_START_MS + np.arange(rows) * HOUR_MS,
        open=np.exp(opened),
        high=np.exp(np.maximum(path.max(axis=1), opened)),
        low=np.exp(np.minimum(path.min(axis=1), opened)),
        close=close,
        volume=volume,
        quote_volume=volume * close,
        trades_count=np.full(rows, 100.0),
        taker_buy_volume=volume * 0.5,
    )


def head(candles: CandleColumns, rows: int) -> CandleColumns:
    """The oldest ``rows`` candles."""
    return CandleColumns(*(getattr(candles, field)[:rows] for field in CandleColumns.__slots__))
