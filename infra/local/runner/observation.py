"""Figures of a running system: what its processes use, what flows, what is stored. Cheap enough to run beside it."""

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpcore
import msgspec

from common.clock import Clock, SystemClock
from common.errors import PetrosaError
from common.models.families import Family
from common.settings import Settings, load_settings
from common.storage.ports import AnalyticsStore, MarketStore
from infra.local.databases.given import mongodb_without_account
from infra.local.origin import metrics_text
from infra.local.runner.run_record import RunRecord

RUNNER: Final = "runner"  # the name of its own usage beside that of the parts
READINESS: Final = "/health/readiness"
READY_STATUSES: Final = (200, 404)  # a project without that route is ready with its parts
RECEIVED: Final = "data_manager_messages_received_total"
STORED: Final = "petrosa_rows_stored_total"
_RAW: Final = 'event_type="raw"'  # counts every message a second time
_STORED_RESULTS: Final = ('result="inserted"', 'result="updated"')
_HTTP_TIMEOUT_S: Final = 2.0
_METRICS_TIMEOUT_S: Final = 5.0  # longer than the origin waits for a part that hangs
_READ_SHARE: Final = 50  # a read of the stores is followed by a pause of 50 times its length


class FeedProgress(msgspec.Struct, frozen=True):
    """``feed.json``: ``phase`` is ``history`` until what came before now is published, then ``live``."""

    phase: str
    published: int
    total: int | None = None


@dataclass(frozen=True)
class Usage:
    """What a process uses: percent of one core since the last look, resident memory."""

    cpu_percent: float | None = None
    memory_mib: float | None = None


@dataclass(frozen=True)
class Stored:
    """What the stores hold; None where a store did not answer."""

    rows: Mapping[Family, int] | None = None
    dead_letters: int | None = None
    analytics_age_s: float | None = None


@dataclass(frozen=True)
class Figures:
    """One look at the system. Rates are per second since the look before."""

    taken_at_ms: int
    usage: Mapping[str, Usage] = field(default_factory=dict)
    received_per_s: float | None = None
    stored_per_s: Mapping[str, float] = field(default_factory=dict)
    stored: Stored = field(default_factory=Stored)
    feed: FeedProgress | None = None

    @property
    def all_stored_per_s(self) -> float | None:
        """Rows stored a second, of all families; None where the metrics could not be read."""
        return None if self.received_per_s is None else sum(self.stored_per_s.values())


class Rates:
    """Turns counters into rates. A counter that fell belongs to a process that was started again."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def rate(self, name: str, value: float, now_s: float) -> float | None:
        """Return the rate since the last value of this name; None the first time."""
        before = self._before.get(name)
        self._before[name] = (value, now_s)
        if before is None or now_s <= before[1]:
            return None
        grown = value - before[0] if value >= before[0] else value
        return grown / (now_s - before[1])


class StoreReader:
    """Reads the stores at most so often that it stays unnoticeable; between reads the last answer stands."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._market: MarketStore | None = None
        self._analytics: AnalyticsStore | None = None
        self._last = Stored()
        self._computed_at_ms: int | None = None
        self._next_read_s = 0.0

    async def read(self) -> Stored:
        """Return what the stores hold."""
        began = time.monotonic()
        if began >= self._next_read_s:
            try:
                self._last = await self._read()
            except PetrosaError:
                self._last = Stored()
            ended = time.monotonic()
            self._next_read_s = ended + max(1.0, _READ_SHARE * (ended - began))
        return self._last

    async def close(self) -> None:
        """Release the stores."""
        for store in (self._market, self._analytics):
            if store is not None:
                await store.close()

    async def _read(self) -> Stored:
        from common.storage.open import open_analytics_store, open_market_store

        if self._market is None:
            self._market = await open_market_store(self._settings)
        if self._analytics is None:
            self._analytics = await open_analytics_store(self._settings)
        rows = await self._market.totals()
        _, dead = await self._market.dead_letters(limit=1)
        newest_ms = await self._analytics.newest_computed_at()
        age_s = None if newest_ms is None else max(0.0, (self._clock.now_ms() - newest_ms) / 1000)
        return Stored(rows, dead, age_s)


def settings_of(record: RunRecord) -> Settings:
    """Return the settings by which another process reads the stores of a running system.

    The record holds no account: where the server asks for one, the environment has to name it.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    known: dict[str, object] = {"petrosa_data_dir": Path(record.state_dir), "petrosa_market": record.market}
    settings = load_settings(**known)
    if settings.mongodb_address and mongodb_without_account(settings) == record.mongodb_url:
        return settings
    return load_settings(**known, mongodb_url=record.mongodb_url, mongodb_host=None)


class Observer:
    """Looks at a running system again and again."""

    def __init__(self, stores: StoreReader, pool: httpcore.AsyncConnectionPool) -> None:
        self._stores = stores
        self._pool = pool
        self._rates = Rates()

    async def look(self, record: RunRecord) -> Figures:
        """Return the figures of now."""
        (status, text), stored = await asyncio.gather(
            get(self._pool, f"{record.url}/metrics", _METRICS_TIMEOUT_S), self._stores.read()
        )
        now_s = time.monotonic()
        pids = {name: part.pid for name, part in record.parts.items()} | {RUNNER: record.pid}
        usage = {name: self._usage(pid, now_s) for name, pid in pids.items()}
        received, per_family = self._flow(text.decode() if status == 200 else "", now_s)
        taken_at_ms = SystemClock().now_ms()
        return Figures(
            taken_at_ms, usage, received, per_family, stored, read_feed(Path(record.state_dir) / "feed.json")
        )

    def _usage(self, pid: int | None, now_s: float) -> Usage:
        found = None if pid is None else cpu_and_memory(pid)
        if found is None:
            return Usage()
        rate = self._rates.rate(f"cpu {pid}", found[0], now_s)
        return Usage(None if rate is None else 100 * rate, found[1])

    def _flow(self, metrics: str, now_s: float) -> tuple[float | None, dict[str, float]]:
        if not metrics:
            return None, {}
        received = sum(value for labels, value in metrics_text.values(metrics, RECEIVED).items() if _RAW not in labels)
        stored = dict.fromkeys(Family, 0.0)
        for labels, value in metrics_text.values(metrics, STORED).items():
            for family in Family:
                if f'family="{family}"' in labels and any(result in labels for result in _STORED_RESULTS):
                    stored[family] += value
        rates = {family: self._rates.rate(family, value, now_s) for family, value in stored.items()}
        return self._rates.rate("received", received, now_s), {name: rate for name, rate in rates.items() if rate}


async def get(pool: httpcore.AsyncConnectionPool, url: str, timeout_s: float = _HTTP_TIMEOUT_S) -> tuple[int, bytes]:
    """Return status and body of a GET; status 0 when nobody answered."""
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
    try:
        answer = await pool.request("GET", url, extensions={"timeout": timeouts})
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError):
        return 0, b""
    return answer.status, answer.content


def read_feed(file: Path) -> FeedProgress | None:
    """Return how far the feed came; None when it has not said so."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=FeedProgress)
    except (OSError, msgspec.MsgspecError):
        return None


def cpu_and_memory(pid: int) -> tuple[float, float] | None:
    """Return CPU seconds and resident MiB of a process; None where the system does not show them (``/proc``)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def readiness_reason(body: bytes) -> str:
    """Return what a readiness answer complains about, for the terminal."""
    try:
        components = json.loads(body).get("components", {})
    except (ValueError, AttributeError):
        return ""
    return ", ".join(f"{name} {state}" for name, state in components.items() if state == "unhealthy")
