"""The probes of a running part: the same question again and again, paced as its manifest says."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from infra.local.manifests.model import HttpProbe

Probe = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Check:
    """A question that a part is asked while it runs.

    Attributes:
        name: what is asked, for people.
        ask: asks it.
        pace: how often, how long to wait, and how many failures count.
        is_vital: liveness: a part that fails it is started again; else readiness: it is shown as not ready.
    """

    name: str
    ask: Probe
    pace: HttpProbe
    is_vital: bool

    @property
    def described(self) -> str:
        """What it is, for people."""
        return f"{'liveness' if self.is_vital else 'readiness'} of {self.name}"

    async def watch(self, told: Callable[["Check", int], None]) -> None:
        """Ask until it has failed for good (a vital one) or the watch is cancelled.

        Args:
            told: gets how often it failed in a row, whenever that changes.
        """
        failures = 0
        due_s = time.monotonic() + self.pace.delay_s
        while not (self.is_vital and failures >= self.pace.failures):
            due_s = max(due_s + self.pace.period_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())
            before, failures = failures, 0 if await self._succeeds() else failures + 1
            if failures != before:
                told(self, failures)

    async def _succeeds(self) -> bool:
        try:
            async with asyncio.timeout(self.pace.timeout_s):
                return await self.ask()
        except TimeoutError:
            return False
