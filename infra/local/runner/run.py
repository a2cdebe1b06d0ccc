"""``make run``: brings the system up, shows it, and takes it down again when asked to."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import httpcore
from rich.console import Console

from common.clock import clock_from
from common.errors import SinkUnavailable
from common.settings import Settings, load_settings
from infra.local.databases.stores import SERVERS, Stores, prepare_stores
from infra.local.ports import require_free
from infra.local.runner import nats_server
from infra.local.runner.blueprint import draw
from infra.local.runner.checks import Probe
from infra.local.runner.configuration import RunOptions
from infra.local.runner.observation import READINESS, READY_STATUSES, Observer, StoreReader, get, readiness_reason
from infra.local.runner.state_folder import StateFolder
from infra.local.runner.supervisor import PartFailed
from infra.local.runner.system import LocalSystem
from infra.local.runner.view import View, view_for
from infra.local.waiting import until

_READY_WITHIN_S: Final = 30.0
_READY_EVERY_S: Final = 5.0
_HISTORY_WITHIN_S: Final = 600.0  # a tick before it finds stale data, and the next one comes with its cron
_FIRST_SHOW_S: Final = 1.0
_FORCED: Final = 130
# Path → what to show of it; only those that the system serves are shown.
_EXAMPLES: Final = (
    ("/health", "curl '{url}/health/readiness'"),
    ("/data", "curl '{url}/data/candles?pair=BTCUSDT&period=1h&limit=3'"),
    ("/data", "curl '{url}/data/trades?pair=BTCUSDT&limit=3'"),
    ("/analysis", "curl '{url}/analysis/volatility?pair=BTCUSDT&period=1h'"),
    ("", "{url}/docs    # all routes"),
)


class StopRequest:
    """Ctrl-C, SIGTERM or a closed terminal: the first asks for an orderly stop, the second forces it."""

    def __init__(self, force: Callable[[], None]) -> None:
        self._force = force
        self._asked = asyncio.Event()
        self.forced = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while the block runs."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP:  # nobody reads the terminal any more, and writing to it would fail
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
        if self._asked.is_set():
            self.forced = True
            self._force()
        self._asked.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the request; false when ``timeout_s`` passed before."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), timeout_s)
        return self._asked.is_set()


class Run:
    """One run of the system, from the first part to the last."""

    def __init__(
        self, options: RunOptions, folder: StateFolder, stores: Stores, view: View, pool: httpcore.AsyncConnectionPool
    ) -> None:
        self._options = options
        self._folder = folder
        self._view = view
        self._pool = pool
        self._began_s = time.monotonic()
        self._reason: str | None = "not asked yet"  # why the system is not ready
        self._blueprint = draw(options, folder, stores, self._http_probe)
        self._system = LocalSystem(self._blueprint, options, folder, view.note)
        self._settings = _settings_of(options, folder, stores)
        self._clock = clock_from(options.clock)
        self.stop_request = StopRequest(self._system.kill)

    async def until_stopped(self) -> int:
        """Start, watch and stop; returns the exit status of the command."""
        failure = ""
        try:
            await self._start_and_watch()
        except PartFailed as error:
            failure = str(error)
        finally:
            self._view.note(f"stopping: {failure}" if failure else "stopping")
            await self._system.stop()
        if self.stop_request.forced:
            self._view.note("stopped by force")
            return _FORCED
        if failure:
            return 1
        self._view.note(farewell(self._options, self._folder, self._blueprint.stores))
        return 0

    async def _start_and_watch(self) -> None:
        stopped = asyncio.create_task(self.stop_request.wait())
        work = asyncio.create_task(self._work())
        await asyncio.wait((stopped, work), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            stopped.cancel()
            work.result()
        work.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)

    async def _work(self) -> None:
        await self._system.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._announce())
            tasks.create_task(self._fire_first_ticks())
            tasks.create_task(self._watch())

    async def _announce(self) -> None:
        """Say that the system is ready, and what to do with it; or what keeps it from being so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_READY_WITHIN_S):
                await until(self._is_ready, every_s=0.1)
        if self._reason is None:
            self._view.note(f"ready in {time.monotonic() - self._began_s:.1f} s: {self._options.url}")
        else:
            self._view.note(f"not ready after {_READY_WITHIN_S:.0f} s ({self._reason}), going on: {self._options.url}")
        subject = self._settings.nats_consumer_subject
        self._view.note(f"producers publish to {self._options.nats_url}, subject {subject}")
        for line in examples(self._options.url, self._blueprint.routes, self._blueprint.schedules):
            self._view.note(f"  {line}")

    async def _is_ready(self) -> bool:
        """Ask the API and remember the answer; a project without a readiness route is ready with its parts."""
        status, body = await get(self._pool, f"{self._options.url}{READINESS}")
        ready = status in READY_STATUSES
        self._reason = None if ready else readiness_reason(body) or f"{READINESS} answered {status or 'nothing'}"
        self._system.set_ready(ready)
        return ready

    async def _fire_first_ticks(self) -> None:
        # Imported here: the system is not kept waiting for what it needs only when it runs.
        from common.events.sink import Sink
        from infra.local.runner.first_ticks import history_is_stored, tick

        if self._options.feed != "none":
            stream = self._settings.nats_stream
            await history_is_stored(self._folder.feed_file, self._options.nats_url, stream, timeout_s=_HISTORY_WITHIN_S)
        sink = Sink(self._blueprint.broker_url)
        for schedule, source in self._blueprint.schedules.items():
            try:
                await sink.emit(tick(schedule, source, self._clock.now_ms()))
            except SinkUnavailable as error:
                self._view.note(f"the first tick of {schedule} was not taken ({error}); its cron sends the next one")
        await sink.close()

    async def _watch(self) -> None:
        stores = StoreReader(self._settings, self._clock)
        observer = Observer(stores, self._pool)
        asked_s = time.monotonic()
        try:
            await observer.look(self._system.record())  # rates need a first look
            await asyncio.sleep(_FIRST_SHOW_S)
            while True:
                self._system.refresh_record()
                record = self._system.record()
                self._view.show(record, await observer.look(record))
                await asyncio.sleep(self._view.interval_s)
                if time.monotonic() - asked_s >= _READY_EVERY_S:
                    await self._is_ready()
                    asked_s = time.monotonic()
        finally:
            await stores.close()

    def _http_probe(self, url: str, timeout_s: float) -> Probe:
        async def succeeds() -> bool:
            status, _ = await get(self._pool, url, timeout_s)
            return 200 <= status < 400

        return succeeds


def examples(url: str, routes: Collection[str], schedules: Collection[str]) -> list[str]:
    """Return things to try on a system that serves these path prefixes and has these schedules."""
    lines = [text.format(url=url) for prefix, text in _EXAMPLES if not prefix or prefix in routes]
    ticks = [f"make tick SCHEDULE={name}    # fire a schedule by hand" for name in sorted(schedules)[:1]]
    return lines + ticks


def farewell(options: RunOptions, folder: StateFolder, stores: Stores) -> str:
    """Return what to say after a stop: where the data are, and how to go on."""
    told = options.stores
    if stores.forgetful:
        lost = " and ".join(server.name for server in stores.forgetful)
        return f"stopped; {lost} kept its data in memory, and they are gone. To begin anew, remove {folder.path}"
    servers = " and on the servers that were given" if told.mongodb_given or told.mysql_given else ""
    command = f"make run FEED={options.feed}" + (f" STORES={SERVERS}" if told.start_servers else "")
    return f"stopped, everything is stored in {folder.path}{servers}. To go on from there: {command}"


async def run(options: RunOptions, folder: StateFolder, console: Console) -> int:
    """Run the system until it is asked to stop; returns the exit status.

    Raises:
        ConfigurationError: a setting is wrong or a port is taken; nothing was started.
    """
    logging.basicConfig(filename=folder.log("runner"), level=logging.INFO, force=True)
    logging.raiseExceptions = False  # a full disk is said once, not with every line of the log
    require_free(options.http_port, "PETROSA_HTTP_PORT")
    if options.external_nats is None:
        require_free(options.nats_port, "PETROSA_NATS_PORT")
    else:
        await nats_server.require_reachable(options.external_nats)
    folder.claim(options.mark)
    folder.feed_file.unlink(missing_ok=True)
    async with httpcore.AsyncConnectionPool(max_connections=None, keepalive_expiry=30) as pool:
        with view_for(console) as view:
            view.note(f"starting in {folder.path}")
            stores = await _prepared_stores(options, folder)
            for line in _store_notes(stores, folder):
                view.note(line)
            current = Run(options, folder, stores, view, pool)
            with current.stop_request.listening():
                return await current.until_stopped()


async def _prepared_stores(options: RunOptions, folder: StateFolder) -> Stores:
    taken = (options.http_port, options.nats_port)
    return await prepare_stores(options.stores, load_settings(), folder.path, taken)


def _store_notes(stores: Stores, folder: StateFolder) -> Iterator[str]:
    yield f"stores: {stores.description}"
    for server in stores.forgetful:
        yield (
            f"{server.name}: what it stores is gone whenever it ends, at a stop as well as when it dies; it is for "
            f"trying only. To keep data, install the real server or give one with {server.variable}"
        )
        if folder.plan_file.exists():  # of an earlier run
            yield f"{server.name}: what earlier runs stored is gone; to begin anew, stop and remove {folder.path}"


def _settings_of(options: RunOptions, folder: StateFolder, stores: Stores) -> Settings:
    return load_settings(
        **{variable.lower(): url for variable, url in stores.environment.items()},
        petrosa_data_dir=folder.path,
        petrosa_market=options.market,
        petrosa_clock=options.clock,
        nats_url=options.nats_url,
    )
