"""The whole system under load: live traffic, a backlog in the stream, and the age of a message when it is stored.

Each figure is taken on a system that ``petrosa run`` starts for it, with everything switched on, on free ports and in
an empty folder. The producer is a core NATS one, as the real producers are.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import nats
from nats.aio.client import Client

from common.models.families import Family, Series
from common.settings import Settings
from common.storage.open import open_market_store
from common.storage.ports import MarketStore, Window
from tests.bench.processes import cpu_seconds, peak_memory_mib
from tests.bench.report import Figure
from tests.bench.traffic import Traffic
from tests.support.servers.mongodb import prepare_mongodb
from tests.support.servers.mysql import prepare_mysql
from tests.support.store_rows import rows_of
from tests.support.system import System, running_system

SUBJECT: Final = "binance.futures.websocket.data"
LIVE_RATE: Final = 20_000
LIVE_SECONDS: Final = int(os.environ.get("BENCH_LIVE_SECONDS", "60"))
BACKLOG: Final = 400_000
BACKLOG_ON_SERVERS: Final = 200_000  # the stand-in for MongoDB keeps all of it in memory
AGE_RATE: Final = 1_000
AGE_SECONDS: Final = 20
SLICE_S: Final = 0.01
MAX_WAIT_S: Final = 120.0
MIB_INGEST: Final = 128
MIB_NATS: Final = 300
FAMILIES: Final = (Family.TRADES, Family.DEPTH, Family.TICKERS, Family.MARK_PRICES, Family.CANDLES)


@contextmanager
def _system(stores: str = "embedded") -> Iterator[System]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_system(Path(folder) / "state", environment={"STORES": stores}) as system,
    ):
        yield system


def live() -> list[Figure]:
    """Publish at the budgeted rate for a minute; everything that was published must be stored."""
    traffic = Traffic(_now_ms() - LIVE_RATE * LIVE_SECONDS)  # a millisecond each, none ahead of the clock
    messages = traffic.messages(LIVE_RATE * LIVE_SECONDS)
    with _system() as system:
        pids = system.pids
        before_s = {part: cpu_seconds([pid]) for part, pid in pids.items()}
        published_s = asyncio.run(_publish(system, messages, LIVE_RATE))
        stored, waited_s = asyncio.run(_wait_stored(system, traffic))
        shares = {part: cpu_seconds([pid]) - before_s[part] for part, pid in pids.items()}
        memory = {part: peak_memory_mib(pid) for part, pid in pids.items()}
    per_10k = sum(shares.values()) / (len(messages) / 10_000)
    print("CPU-s per 10 000 messages:", {part: round(s / (len(messages) / 10_000), 3) for part, s in shares.items()})
    rate = stored / (published_s + waited_s)
    complete = stored == sum(traffic.expected.values())
    share = stored / len(messages)  # exact repetitions and updates of one candle are no rows
    budget = f">= {LIVE_RATE:,} for {LIVE_SECONDS} s, published = stored"
    kept_up = complete and rate >= 0.95 * share * LIVE_RATE
    rate /= share
    return [
        Figure("live traffic", rate, "messages/s", budget, kept_up, LIVE_RATE, rate / LIVE_RATE),
        Figure("live traffic, CPU", per_10k, "CPU-s per 10 000 messages", "<= 0.5", per_10k <= 0.5),
        Figure(
            "live traffic, ingest memory", memory["ingest"], "MiB", f"< {MIB_INGEST}", memory["ingest"] < MIB_INGEST
        ),
        Figure("live traffic, nats-server memory", memory["nats"], "MiB", f"< {MIB_NATS}", memory["nats"] < MIB_NATS),
    ]


def backlog() -> list[Figure]:
    """Fill the stream while the bridge is stopped, then let it go."""
    rate, complete = _drained("embedded", BACKLOG)
    return [Figure("backlog", rate, "messages/s", ">= 50,000, all stored", complete and rate >= 50_000)]


def backlog_on_servers() -> list[Figure]:
    """Drain a backlog into MongoDB and MySQL, which the runner starts, and one into embedded stores beside it."""
    for prepare in (prepare_mongodb, prepare_mysql):
        prepare()  # or say what is missing, before anything is measured
    embedded, _ = _drained("embedded", BACKLOG_ON_SERVERS)
    rate, complete = _drained("servers", BACKLOG_ON_SERVERS)
    budget = "all stored; beside embedded stores"
    return [Figure("backlog on servers", rate, "messages/s", budget, complete, embedded, rate / embedded)]


def _drained(stores: str, count: int) -> tuple[float, bool]:
    """Return the rate at which a backlog is stored, and whether all of it was."""
    traffic = Traffic(_now_ms() - count)
    messages = traffic.messages(count)
    with _system(stores) as system:
        system.freeze("bridge")  # it neither pulls nor dies
        try:
            asyncio.run(_publish(system, messages, 60_000))
        finally:
            system.thaw("bridge")
        stored, waited_s = asyncio.run(_wait_stored(system, traffic))
    return count / waited_s, stored == sum(traffic.expected.values())


def age() -> list[Figure]:
    """Publish slowly and watch when each trade can be read; the age counts from its publication."""
    with _system() as system:
        ages = sorted(asyncio.run(_ages(system)))
    p50, p99 = statistics.median(ages), ages[int(len(ages) * 0.99)]
    return [
        Figure("age when queryable, p50", p50, "ms", "< 50", p50 < 50),
        Figure("age when queryable, p99", p99, "ms", "< 120", p99 < 120),
    ]


async def _ages(system: System) -> list[float]:
    """Return the ages of the trades of a run, from a poll of the store every two milliseconds."""
    store = await _store(system)
    client = await nats.connect(system.nats_url)
    published: dict[int, float] = {}
    seen: dict[int, float] = {}
    publishing = asyncio.create_task(_publish_trades(client, published))
    newest = -1
    while not publishing.done() or len(seen) < len(published):
        rows = await rows_of(store, Series(Family.TRADES, "BTCUSDT"), Window(limit=1, order="desc"))
        now = time.perf_counter()
        if rows and rows[0].trade_id > newest:
            seen.update(dict.fromkeys(range(newest + 1, rows[0].trade_id + 1), now))
            newest = rows[0].trade_id
        await asyncio.sleep(0.002)
    await client.close()
    await store.close()
    skipped = AGE_RATE  # the first second warms connections up
    return [(seen[number] - sent) * 1000 for number, sent in published.items() if number >= skipped]


async def _publish_trades(client: Client, published: dict[int, float]) -> None:
    begun, begun_ms = time.perf_counter(), _now_ms()
    for number in range(AGE_RATE * AGE_SECONDS):
        due = begun + number / AGE_RATE
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        event_ms = begun_ms + number
        event = (
            f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{event_ms},"s":"BTCUSDT","t":{number},"p":"64120.50",'
            f'"q":"0.012","T":{event_ms},"m":true}}}}'
        )
        published[number] = time.perf_counter()
        await client.publish(SUBJECT, event.encode())


async def _publish(system: System, messages: list[bytes], rate: int) -> float:
    """Publish at a rate, in slices of some milliseconds; returns how long it took."""
    client = await nats.connect(system.nats_url, pending_size=64 * 1024 * 1024)
    size = max(1, int(rate * SLICE_S))
    begun = time.perf_counter()
    for start in range(0, len(messages), size):
        for message in messages[start : start + size]:
            await client.publish(SUBJECT, message)
        due = begun + (start + size) / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await client.flush(timeout=30)
    await client.close()
    return time.perf_counter() - begun


async def _wait_stored(system: System, traffic: Traffic) -> tuple[int, float]:
    """Wait until everything is stored, or nothing more comes; returns the rows and how long it took."""
    store = await _store(system)
    begun = last_change = time.perf_counter()
    expected, stored = sum(traffic.expected.values()), -1
    while stored < expected and time.perf_counter() - last_change < 10 and time.perf_counter() - begun < MAX_WAIT_S:
        totals = await store.totals()
        now = sum(totals.get(family, 0) for family in FAMILIES)
        if now != stored:
            stored, last_change = now, time.perf_counter()
        await asyncio.sleep(0.02)
    await store.close()
    return stored, last_change - begun


async def _store(system: System) -> MarketStore:
    return await open_market_store(Settings(petrosa_data_dir=system.state_dir, mongodb_url=system.mongodb_url))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
