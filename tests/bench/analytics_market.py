"""The market that a cycle of analytics is measured on: recorded hours and days where they are, a random walk elsewhere.

One-minute candles and order books were not recorded for these pairs; they are generated in any case.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from common.indicators.arrays import FloatArray1D
from common.models.families import Family
from common.models.rows import CandleRow, DepthRow, Origin
from common.storage.ports import MarketStore
from common.timeframes import Timeframe
from common.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.support.candles import random_walk, recorded_rows
from tests.support.store_rows import put

PAIRS: Final = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT")
END_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z: the recorded candles end here
_RECORDED: Final = {Timeframe.H1: "um_1h_{}_2025-09_2025-12", Timeframe.D1: "um_1d_{}_2024-01_2025-12"}
_BARS: Final = {Timeframe.H1: 2928, Timeframe.D1: 722}  # as many as were recorded
_BOOKS_PER_MINUTE: Final = 240  # the stream of twenty levels at its usual pace
_LEVELS: Final = 20
_ROWS_AT_ONCE: Final = 5_000


def recorded_folder() -> Path | None:
    """Return the folder of recorded data, when there is one."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("PETROSA_TEST_DATA", default))
    return folder if (folder / "klines").is_dir() else None


async def fill(store: MarketStore, symbols: Sequence[str], instants_ms: Sequence[int]) -> None:
    """Store what a cycle needs at each of the instants: hours, days, minutes of the last day, books of the last minute.

    Args:
        store: an empty store.
        symbols: the pairs; those that were recorded are read from their records.
        instants_ms: when there will be a cycle.
    """
    for seed, symbol in enumerate(symbols):
        for timeframe in _BARS:
            await _write(store, Family.CANDLES, _candles(symbol, timeframe, seed))
        last_ms = END_MS + HOUR_MS
        minutes = (last_ms - min(instants_ms) + DAY_MS) // MINUTE_MS
        await _write(store, Family.CANDLES, _walk(symbol, Timeframe.M1, minutes, seed, last_ms))
        await _write(store, Family.DEPTH, list(_books(symbol, instants_ms)))


async def _write(store: MarketStore, family: Family, rows: Sequence[Any]) -> None:
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        await put(store, family, rows[first : first + _ROWS_AT_ONCE])


def _candles(symbol: str, timeframe: Timeframe, seed: int) -> list[CandleRow]:
    folder = recorded_folder()
    path = None if folder is None else folder / "klines" / f"{_RECORDED[timeframe].format(symbol)}.csv.gz"
    if path is not None and path.exists():
        return recorded_rows(path, symbol, timeframe)
    return _walk(symbol, timeframe, _BARS[timeframe], seed, END_MS)


def _walk(symbol: str, timeframe: Timeframe, bars: int, seed: int, end_ms: int) -> list[CandleRow]:
    walk = random_walk(bars, timeframe, seed=seed, start_ms=end_ms - bars * timeframe.duration_ms)
    columns = zip(
        walk.open_time_ms.tolist(),
        *map(_texts, (walk.open, walk.high, walk.low, walk.close, walk.volume, walk.quote_volume)),
        walk.trades_count.tolist(),
        _texts(walk.taker_buy_volume),
        strict=True,
    )
    return [
        CandleRow(
            symbol=symbol,
            timeframe=timeframe,
            time_ms=opened_ms,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            quote_volume=quote,
            trades_count=int(trades),
            taker_buy_volume=taker,
            taker_buy_quote_volume=None,
            is_closed=True,
            event_time_ms=opened_ms + timeframe.duration_ms,
            origin=Origin.REST,
        )
        for opened_ms, open_, high, low, close, volume, quote, trades, taker in columns
    ]


def _texts(values: FloatArray1D) -> list[str]:
    return [f"{value:.8f}" for value in values.tolist()]


def _books(symbol: str, instants_ms: Sequence[int]) -> Iterator[DepthRow]:
    step_ms = MINUTE_MS // _BOOKS_PER_MINUTE
    for instant_ms in instants_ms:
        for number in range(_BOOKS_PER_MINUTE):
            time_ms = instant_ms - number * step_ms
            mid = 100 + number % 7 / 100
            yield DepthRow(symbol, time_ms, time_ms, _side(mid, -0.01, number), _side(mid, 0.01, number + 3))


def _side(mid: float, tick: float, number: int) -> str:
    levels = [(f"{mid + tick * (level + 1):.2f}", f"{1 + (level * 7 + number) % 13}.500") for level in range(_LEVELS)]
    return msgspec.json.encode(levels).decode()
