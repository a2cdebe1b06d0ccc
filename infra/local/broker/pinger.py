"""Fires PingSources as the platform does: at most once. What the broker does not take within 1.6 seconds is lost."""

import asyncio
import logging
from collections.abc import Sequence
from random import Random, SystemRandom
from typing import Final

from common.clock import Clock
from common.errors import SinkUnavailable
from common.events import Event, types
from common.events.sink import Sink
from infra.local.broker.plan import BrokerPlan
from infra.local.manifests.model import PingSource

log = logging.getLogger(__name__)

_RETRIES: Final = 5
_FIRST_RETRY_S: Final = 0.05
_SEND_TIMEOUT_S: Final = 5.0
# So that sources of one schedule do not all fire at the same instant.
_MAX_JITTER_S: Final = 0.5
# The process's clock may be shifted but runs at the real rate; a wait is cut so that a suspended machine is noticed.
_LONGEST_SLEEP_S: Final = 30.0


def source_uri(source: PingSource) -> str:
    """Return the ``source`` attribute of the events of a PingSource."""
    return f"/apis/v1/namespaces/{source.namespace}/pingsources/{source.name}"


class Pinger:
    """Sends the events of all PingSources to the broker.

    Args:
        sources: the PingSources.
        plan: says where the broker is, and which sources fire at once as well.
        clock: whose time the schedules follow.
        chance: draws the jitter of each event.
    """

    def __init__(
        self, sources: Sequence[PingSource], plan: BrokerPlan, clock: Clock, chance: Random | None = None
    ) -> None:
        self._sources = sources
        self._first = frozenset(plan.first_ticks)
        self._clock = clock
        self._chance = chance or SystemRandom()
        self._sink = Sink(plan.ingress_url, timeout_s=_SEND_TIMEOUT_S)

    async def run(self) -> None:
        """Fire until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    if source.name in self._first:
                        group.create_task(self._fire(source))
                    group.create_task(self._fire_on_schedule(source, group))
        finally:
            await self._sink.close()

    async def _fire_on_schedule(self, source: PingSource, group: asyncio.TaskGroup) -> None:
        due_ms = source.schedule.next_ms(self._clock.now_ms())
        while True:
            wait_s = (due_ms - self._clock.now_ms()) / 1000
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, _LONGEST_SLEEP_S))
                continue
            group.create_task(self._fire(source))
            # No catching up: what was due while the machine slept is not fired.
            due_ms = source.schedule.next_ms(self._clock.now_ms())

    async def _fire(self, source: PingSource) -> None:
        event = Event(
            type=types.PING,
            source=source_uri(source),
            time_ms=self._clock.now_ms(),
            datacontenttype=source.content_type,
            data=source.data,
            extensions=source.extensions,
        )
        await asyncio.sleep(self._chance.uniform(0, _MAX_JITTER_S))
        for retry in range(_RETRIES + 1):
            try:
                await self._sink.emit(event)
            except SinkUnavailable as error:
                if retry == _RETRIES:
                    log.error("event is lost", extra={"source": source.name, "error": str(error)})  # noqa: TRY400
                else:
                    await asyncio.sleep(_FIRST_RETRY_S * 2**retry)
            else:
                return
