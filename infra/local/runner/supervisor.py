"""Keeps the parts of a system running: starts them, starts again what dies, stops them within a bound.

A part that dies is started again at once; one that dies repeatedly within seconds is given a growing pause; one whose
liveness probe has failed as often as its manifest allows is ended, and started again. Children
are tied to the runner (``tether.py``), so none outlives it, and sit in sessions of their own, so that Ctrl-C in the
terminal reaches the runner alone.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

from common.errors import PetrosaError
from infra.local.runner.checks import Check, Probe
from infra.local.runner.state_folder import rotate_log
from infra.local.waiting import until

_TETHER: Final = Path(__file__).with_name("tether.py")
_QUICK_DEATH_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 5.0
_PROBE_EVERY_S: Final = 0.05
_DEATHS_BEFORE_FIRST_READY: Final = 5
_WRONG_CONFIGURATION: Final = 2  # the exit status by which our processes say that a new try would end the same


class PartState(StrEnum):
    """Where a part stands."""

    STARTING = "starting"
    READY = "ready"
    UNREADY = "not ready"
    DOWN = "down"
    ENDED = "ended"
    STOPPED = "stopped"


class PartFailed(PetrosaError):
    """A part could not be started; the text holds the end of its log."""


@dataclass(frozen=True)
class PartSpec:
    """What a part is.

    Attributes:
        name: unique in the system; also the name of its log.
        command: program and arguments.
        environment: all its variables.
        log: file that takes its output.
        ready: asks whether it has started; without one it has once it runs.
        checks: what it is asked while it runs.
        url: base of its HTTP endpoints, if it has any.
        stop_timeout_s: how long it may take to end after SIGTERM.
        may_end: it may end by itself with status 0, and is then left so.
        functions: names of the functions that it hosts.
        restart_note: what people must know when it was started again.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    ready: Probe | None = None
    checks: tuple[Check, ...] = ()
    url: str | None = None
    stop_timeout_s: float = 8.0
    may_end: bool = False
    functions: tuple[str, ...] = ()
    restart_note: str = ""


def pause_before_restart_s(quick_deaths: int) -> float:
    """Return how long to wait after so many deaths in a row, each within seconds of its start."""
    return 0.0 if quick_deaths <= 1 else min(_LONGEST_PAUSE_S, 0.25 * 2.0 ** (quick_deaths - 2))


@dataclass
class Part:
    """A part and its present process. ``changed`` is called whenever pid, state, restarts or failures change."""

    spec: PartSpec
    changed: Callable[["Part"], None]
    state: PartState = PartState.STARTING
    restarts: int = 0
    last_exit: int | None = None
    failures: dict[Check, int] = field(default_factory=dict)
    hung: Check | None = None
    _process: asyncio.subprocess.Process | None = None
    _loop: asyncio.Task[None] | None = None
    _watching: asyncio.Task[None] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _was_ready: asyncio.Event = field(default_factory=asyncio.Event)
    _given_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int | None:
        """The present process, if one runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def trouble(self) -> str:
        """What it fails, for people; empty when it fails nothing."""
        return ", ".join(
            f"{check.described} failed {count} times (threshold {check.pace.failures})"
            for check, count in self.failures.items()
        )

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start the part and return when it is ready for the first time.

        Raises:
            PartFailed: it died again and again, or was not ready in time.
        """
        self._loop = asyncio.create_task(self._keep_running(), name=f"keep {self.spec.name}")
        outcomes = [asyncio.create_task(event.wait()) for event in (self._was_ready, self._given_up)]
        await asyncio.wait(outcomes, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for outcome in outcomes:
            outcome.cancel()
        if not self._was_ready.is_set():
            raise PartFailed(self._failure(timeout_s))

    async def stop(self) -> bool:
        """Ask the process to end, and kill it when it has not ended in time; tells whether it ended by itself."""
        self._stopping.set()
        self._end_watch()
        if self._loop is None:
            return True
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait((self._loop,), timeout=self.spec.stop_timeout_s)
        if not done:
            self._signal(signal.SIGKILL)
            await self._loop
        self._enter(PartState.STOPPED)
        return bool(done)

    def kill(self) -> None:
        """End the process and everything that it started, at once, and do not start it again."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    async def _keep_running(self) -> None:
        quick_deaths = 0
        while True:
            began_s = time.monotonic()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            if status == 0 and self.spec.may_end:
                self._enter(PartState.ENDED)
                return
            self.last_exit = status
            quick_deaths = quick_deaths + 1 if time.monotonic() - began_s < _QUICK_DEATH_S else 0
            hopeless = status == _WRONG_CONFIGURATION or quick_deaths >= _DEATHS_BEFORE_FIRST_READY
            if hopeless and not self._was_ready.is_set():
                self._enter(PartState.DOWN)
                self._given_up.set()
                return
            self.restarts += 1
            self._enter(PartState.DOWN)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_before_restart_s(quick_deaths))
                return

    async def _run_once(self) -> int:
        self._process = await _spawn(self.spec)
        self.hung = None
        self.failures.clear()
        self._enter(PartState.STARTING)
        if self._stopping.is_set():  # asked to stop while the process was being made
            self._signal(signal.SIGTERM)
        else:
            self._watching = asyncio.create_task(self._watch())
        try:
            return await self._process.wait()
        finally:
            self._end_watch()

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for check in self.spec.checks:
                if check.is_vital:
                    group.create_task(self._end_when_failed(check))
            await self._await_ready()
            for check in self.spec.checks:
                if not check.is_vital:
                    group.create_task(check.watch(self._told))

    async def _await_ready(self) -> None:
        if self.spec.ready is not None:
            await until(self.spec.ready, every_s=_PROBE_EVERY_S)
        self._enter(PartState.READY)
        self._was_ready.set()

    async def _end_when_failed(self, check: Check) -> None:
        await check.watch(self._told)
        if self.hung is not None:  # another one asks it to end already
            return
        self.hung = check
        self._signal(signal.SIGTERM)
        await asyncio.sleep(self.spec.stop_timeout_s)
        self._signal(signal.SIGKILL)

    def _end_watch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self.failures.clear()

    def _told(self, check: Check, failures: int) -> None:
        self.failures[check] = failures
        if not failures:
            del self.failures[check]
        if self.state in (PartState.READY, PartState.UNREADY):
            failed = any(count >= each.pace.failures for each, count in self.failures.items())
            self.state = PartState.UNREADY if failed else PartState.READY
        self.changed(self)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is None:
            return
        with suppress(ProcessLookupError):
            # The part leads a process group of its own; SIGKILL is also meant for what it may have started.
            (os.killpg if number == signal.SIGKILL else os.kill)(self.pid, number)

    def _enter(self, state: PartState) -> None:
        self.state = state
        self.changed(self)

    def _failure(self, timeout_s: float) -> str:
        if self._given_up.is_set():
            what = f"ended with status {self.last_exit} before it was ready"
        else:
            what = f"was not ready after {timeout_s:.0f} s"
        return f"{self.spec.name} {what}. The end of its log ({self.spec.log}):\n{log_tail(self.spec.log)}"


async def _spawn(spec: PartSpec) -> asyncio.subprocess.Process:
    with _log_of(spec.log) as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *spec.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(spec.environment),
            start_new_session=True,
        )


def _log_of(file: Path) -> BinaryIO:
    """Open the log of a part; where the disk is full it writes to nowhere, because it has to run all the same."""
    try:
        rotate_log(file)
        return file.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def log_tail(file: Path, lines: int = 15) -> str:
    """Return the last lines of a log, for an error text."""
    try:
        text = file.read_bytes()[-8192:].decode(errors="replace")
    except FileNotFoundError:
        return "  (empty)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"
