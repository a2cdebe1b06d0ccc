"""The bridge as a whole: its parts, what it tells of itself, and an orderly end."""

import asyncio
import logging
from typing import Any, Final

from common.clock import Clock
from common.events.sink import Sink
from common.settings import Settings
from triggers.nats_bridge.connection import Connection
from triggers.nats_bridge.limits import limits_of
from triggers.nats_bridge.pipeline import Pipeline
from triggers.nats_bridge.pulling import Puller
from triggers.nats_bridge.rejection import DeadLetterStream
from triggers.nats_bridge.survey import Survey

log = logging.getLogger(__name__)

_FINISH_S: Final = 8.0
_CLOSE_S: Final = 2.0


class Bridge:
    """One process's share of the consumer. Make it inside a running event loop."""

    def __init__(self, settings: Settings, sink: Sink, clock: Clock) -> None:
        limits = limits_of(settings)
        self._sink = sink
        self._connection = Connection(settings)
        dead_letters = DeadLetterStream(self._connection, settings)
        self._pipeline = Pipeline(limits, self._connection, sink, dead_letters, clock)
        self._puller = Puller(self._connection, settings, limits, self._pipeline)
        self._survey = Survey(self._connection, settings)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then end in order.

        Raises:
            ExceptionGroup: of ``ConfigurationError`` when the settings cannot work.
        """
        async with asyncio.TaskGroup() as tasks:
            parts = (self._connection, self._puller, self._survey, self._pipeline)
            running = [tasks.create_task(part.run()) for part in parts]
            await stop.wait()
            await self._drain()
            for part in running:
                part.cancel()

    def status(self) -> dict[str, Any]:
        """Return what the readiness probe tells: ready or not, and each condition by itself."""
        gate = self._pipeline.gate
        ready = self._connection.is_connected and self._puller.is_active and gate.is_open
        return {
            "ready": ready,
            "nats": "connected" if self._connection.is_connected else "disconnected",
            "consumer": "pulling" if self._puller.is_active else "stopped",
            "sink": "accepting" if gate.is_open else "failing",
            "nats_error": self._connection.last_error,
            "consumer_error": None if self._puller.is_active else self._puller.fault,
            "sink_error": None if gate.is_open else self._pipeline.last_answer,
            "held_messages": self._pipeline.held_messages,
            "batches_in_flight": self._pipeline.in_flight,
        }

    async def _drain(self) -> None:
        """Stop pulling, finish what is at the sink, give back the rest."""
        log.info("stopping", extra={"held_messages": self._pipeline.held_messages})
        self._pipeline.stop_sending()
        await self._puller.stop()
        await self._pipeline.drain(_FINISH_S)
        await self._connection.close(_CLOSE_S)
        await self._sink.close()
        log.info("stopped")
