"""One full cycle of analytics: every calculator over its pairs and timeframes, store reads and writes included.

Requests run one after the other in one process, which is the sum of what the deployed functions do; the broker and
HTTP are left out. Models are fitted once a day, so three cycles differ: the first of a fresh process (which also loads
everything), the first of a day, and all others.
"""

import asyncio
import importlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from common.analytics.declaration import BENCHMARK, subjects
from common.analytics.function import Calculation, Surroundings, open_surroundings
from common.analytics.metrics import METRICS
from common.clock import FixedClock
from common.events.own import AnalyticsRequested
from common.events.sink import Sink
from common.host import Context
from common.settings import Settings
from common.storage.open import open_market_store
from common.timeframes import Timeframe
from common.times import DAY_MS, MINUTE_MS
from tests.bench.analytics_market import END_MS, PAIRS, fill
from tests.bench.report import Figure

ROOT: Final = Path(__file__).resolve().parents[2]
TIMEFRAMES: Final = (Timeframe.H1, Timeframe.D1)
BUDGET_S: Final = 1.0
DAY_BEFORE_MS: Final = END_MS - DAY_MS
# Cycles of one hour: the candles stay the same, the order books do not.
USUAL_MS: Final = tuple(END_MS + step * 5 * MINUTE_MS for step in range(1, 8))
SIZES: Final = (20, 100, 200)
# What a pair may cost among 200 over what it costs among 20.
GROWTH: Final = 1.5

Split = Mapping[str, float]  # seconds by metric


def measure() -> list[Figure]:
    """Return the cycle over the five pairs with its parts, and how its cost grows with the pairs."""
    with tempfile.TemporaryDirectory() as folder:
        five = Path(folder) / "five"
        asyncio.run(_fill(five, PAIRS, (DAY_BEFORE_MS, END_MS, *USUAL_MS)))
        fresh_s = _fresh_process(five)
        cycles = asyncio.run(_cycles(five, PAIRS, (DAY_BEFORE_MS, END_MS, *USUAL_MS)))
        figures = [*_five_pairs(fresh_s, cycles)]
        many = Path(folder) / "many"
        symbols = [BENCHMARK, *(f"PAIR{number:03}USDT" for number in range(1, max(SIZES)))]
        asyncio.run(_fill(many, symbols, USUAL_MS[:2]))
        return figures + list(_growth(many, symbols))


def _five_pairs(fresh_s: float, cycles: Sequence[Split]) -> Iterator[Figure]:
    _, day, *usual = cycles
    whole = statistics.median(sum(cycle.values()) for cycle in usual)
    yield Figure("analytics cycle, 5 pairs", whole, "s", f"< {BUDGET_S:g}", whole < BUDGET_S)
    for name in usual[0]:
        part = statistics.median(cycle[name] for cycle in usual) * 1000
        yield Figure(f"analytics cycle, {name}", part, "ms", "", True, day[name] * 1000, part / (day[name] * 1000))
    of_day = sum(day.values())
    yield Figure("analytics cycle, first of a day", of_day, "s", f"< {BUDGET_S:g}", of_day < BUDGET_S)
    yield Figure("analytics cycle, fresh process", fresh_s, "s from process start", "", True)


def _growth(folder: Path, symbols: Sequence[str]) -> Iterator[Figure]:
    by_size = {size: asyncio.run(_cycles(folder, symbols[:size], USUAL_MS[:2]))[-1] for size in SIZES}
    each = {size: sum(split.values()) / size * 1000 for size, split in by_size.items()}
    smallest = each[SIZES[0]]
    for size, cost in each.items():
        text = f"<= {GROWTH:g} x that of {SIZES[0]}"
        ratio = cost / smallest
        yield Figure(f"analytics cycle, {size} pairs", cost, "ms a pair", text, ratio <= GROWTH, smallest, ratio)
    for name in by_size[SIZES[0]]:
        few, most = (by_size[size][name] / size * 1000 for size in (SIZES[0], SIZES[-1]))
        yield Figure(f"analytics growth, {name}", most, "ms a pair", "", True, few, most / few)


async def _fill(folder: Path, symbols: Sequence[str], instants_ms: Sequence[int]) -> None:
    store = await open_market_store(_settings(folder))
    await fill(store, symbols, instants_ms)
    await store.close()


def _fresh_process(folder: Path) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tests.bench.analytics_cycle", str(folder)], cwd=ROOT, check=True)
    return time.perf_counter() - begun


async def _cycles(folder: Path, symbols: Sequence[str], instants_ms: Sequence[int]) -> list[Split]:
    calculations = _calculations()
    async with _open(folder) as (surroundings, clock):
        splits: list[Split] = []
        for instant_ms in instants_ms:
            clock.advance(instant_ms - clock.now_ms())
            splits.append(
                {
                    calculation.metric.name: await _seconds(calculation, symbols, instant_ms, surroundings)
                    for calculation in calculations
                }
            )
        return splits


def _calculations() -> list[Calculation[Any]]:
    """Return the calculators, as their functions run them."""
    return [importlib.import_module(f"functions.{name}.main").calculation for name in METRICS]


async def _seconds(
    calculation: Calculation[Any], symbols: Sequence[str], as_of_ms: int, surroundings: Surroundings
) -> float:
    """Carry out all requests of one metric, from the event to the stored documents."""
    name = calculation.metric.name
    events = [
        AnalyticsRequested(
            metric=name, symbols=subject.symbols, timeframe=subject.timeframe, as_of_ms=as_of_ms
        ).to_event(source="/bench", cause="bench", time_ms=as_of_ms)
        for subject in subjects(calculation.metric, symbols, TIMEFRAMES)
    ]
    started = time.perf_counter()
    for event in events:
        if not await calculation.run(calculation.decode(event), surroundings):
            raise RuntimeError(f"{name} computed nothing for {event.id}")
    return time.perf_counter() - started


@asynccontextmanager
async def _open(folder: Path) -> AsyncIterator[tuple[Surroundings, FixedClock]]:
    clock = FixedClock(DAY_BEFORE_MS)
    async with open_surroundings(Context("bench", _settings(folder), clock, Sink(None))) as surroundings:
        yield surroundings, clock


def _settings(folder: Path) -> Settings:
    return Settings(petrosa_data_dir=folder)


if __name__ == "__main__":
    asyncio.run(_cycles(Path(sys.argv[1]), PAIRS, (DAY_BEFORE_MS,)))
