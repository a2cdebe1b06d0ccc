"""A system while it runs: its parts by stage, and the record of them that others read."""

import asyncio
import os
from collections.abc import Callable

import msgspec

from common.clock import SystemClock
from infra.local.runner.blueprint import NATS, Blueprint
from infra.local.runner.configuration import RunOptions
from infra.local.runner.run_record import PartRecord, RunRecord
from infra.local.runner.state_folder import StateFolder, write_atomically
from infra.local.runner.supervisor import Part, PartSpec, PartState


class LocalSystem:
    """Starts and stops the parts of a blueprint and keeps ``run.json``.

    Args:
        blueprint: the parts.
        options: what the run was started with.
        folder: its state folder.
        note: takes a line for the person at the terminal.
    """

    def __init__(
        self, blueprint: Blueprint, options: RunOptions, folder: StateFolder, note: Callable[[str], None]
    ) -> None:
        self._options = options
        self._blueprint = blueprint
        self._folder = folder
        self._note = note
        self._stages = [[Part(spec, self._changed) for spec in stage] for stage in blueprint.stages]
        self._started_at_ms = SystemClock().now_ms()
        self._ready = False
        self._stopping = False
        self._killed = False
        self._is_unwritten = False
        self._states: dict[str, PartState] = {}

    @property
    def parts(self) -> dict[str, Part]:
        """All parts by name, in the order of their start."""
        return {part.spec.name: part for stage in self._stages for part in stage}

    async def start(self) -> None:
        """Start the parts, each stage when the one before is ready.

        Raises:
            PartFailed: a part did not start.
        """
        for stage in self._stages:
            await asyncio.gather(*(part.start() for part in stage))

    async def stop(self) -> None:
        """Stop the parts, the last stage first, and remove the record. Each part has its bound."""
        self._stopping = True
        for stage in reversed(self._stages):
            # The NATS server starts beside the functions and ends after them: their last events go through it.
            for is_server in (False, True):
                await asyncio.gather(*(self._stop(part) for part in stage if (part.spec.name == NATS) is is_server))
        self._folder.run_file.unlink(missing_ok=True)

    async def _stop(self, part: Part) -> None:
        if not await part.stop() and not self._killed:
            self._note(f"{part.spec.name} did not end within {part.spec.stop_timeout_s:.0f} s and was killed")

    def kill(self) -> None:
        """End all parts at once."""
        self._stopping = self._killed = True
        for part in self.parts.values():
            part.kill()

    def set_ready(self, ready: bool) -> None:
        """Remember whether the whole system is ready."""
        if ready != self._ready:
            self._ready = ready
            self._write()

    def record(self) -> RunRecord:
        """Return the record of now."""
        options = self._options
        return RunRecord(
            pid=os.getpid(),
            started_at_ms=self._started_at_ms,
            ready=self._ready,
            url=options.url,
            nats_url=options.nats_url,
            broker_url=self._blueprint.broker_url,
            state_dir=str(self._folder.path),
            feed=options.feed,
            market=options.market,
            isolate=options.isolate,
            clock=options.clock,
            schedules=self._blueprint.schedules,
            parts={name: _record_of(part) for name, part in self.parts.items()},
            stores=self._blueprint.stores.description,
            mongodb_url=self._blueprint.stores.mongodb_url,
        )

    def _changed(self, part: Part) -> None:
        if self._stopping:
            return
        before = self._states.get(part.spec.name)
        self._states[part.spec.name] = part.state
        if part.state is not before and (note := _news(part, before)):
            self._note(f"{part.spec.name} {note}")
        self._write()

    def refresh_record(self) -> None:
        """Write the record that could not be written before, if there is one."""
        if self._is_unwritten:
            self._write()

    def _write(self) -> None:
        """Write the record; a full disk ends nothing, the record is just old until there is room."""
        was_unwritten = self._is_unwritten
        try:
            write_atomically(self._folder.run_file, msgspec.json.format(msgspec.json.encode(self.record())))
        except OSError as error:
            self._is_unwritten = True
            if not was_unwritten:
                self._note(f"{self._folder.run_file} cannot be written ({error.strerror}): going on, make room")
        else:
            self._is_unwritten = False
            if was_unwritten:
                self._note(f"{self._folder.run_file} is written again")


def _record_of(part: Part) -> PartRecord:
    spec: PartSpec = part.spec
    return PartRecord(part.pid, part.state, part.restarts, spec.url, str(spec.log), spec.functions, part.trouble)


def _news(part: Part, before: PartState | None) -> str:
    """Return what to say of a part that is in another state than before."""
    if part.state is PartState.DOWN:
        return f"{_end(part)}, starting it again; log: {part.spec.log}"
    if part.state is PartState.UNREADY:
        return f"is not ready: {part.trouble}"
    if part.state is PartState.ENDED:
        return "has ended"
    if part.state is PartState.READY and before is PartState.UNREADY:
        return "is ready again"
    if part.state is PartState.READY and part.restarts:
        return "is back" + (f": {part.spec.restart_note}" if part.spec.restart_note else "")
    return ""


def _end(part: Part) -> str:
    if part.hung is not None:
        return f"did not answer ({part.hung.described}, {part.hung.pace.failures} times in a row) and was ended"
    status = part.last_exit or 0
    return f"was killed (signal {-status})" if status < 0 else f"ended (status {status})"
