"""Looks at the stream and the consumer every few seconds, so that operators see both fill before anything is lost."""

import asyncio
import logging
from typing import Final

import nats.errors
from nats.js.api import ConsumerInfo, StreamInfo

from common.errors import TemporaryError
from common.settings import Settings
from triggers.nats_bridge import metrics
from triggers.nats_bridge.connection import Connection

log = logging.getLogger(__name__)

_INTERVAL_S: Final = 5.0
_TIMEOUT_S: Final = 3.0


class Survey:
    """Sets the gauges of stream and consumer."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._stream = settings.nats_stream
        self._consumer = settings.nats_consumer

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self._look()
            except (nats.errors.Error, TemporaryError, TimeoutError, OSError) as error:
                log.debug("no figures of the stream", extra={"error": repr(error)})
            await asyncio.sleep(_INTERVAL_S)

    async def _look(self) -> None:
        js = (await self._connection.client()).jetstream(timeout=_TIMEOUT_S)
        self._set_stream(await js.stream_info(self._stream))
        self._set_consumer(await js.consumer_info(self._stream, self._consumer))

    def _set_stream(self, info: StreamInfo) -> None:
        limit = info.config.max_bytes or 0
        metrics.STREAM_MESSAGES.labels(self._stream).set(info.state.messages)
        metrics.STREAM_BYTES.labels(self._stream).set(info.state.bytes)
        metrics.STREAM_FILL.labels(self._stream).set(info.state.bytes / limit if limit > 0 else 0.0)

    def _set_consumer(self, info: ConsumerInfo) -> None:
        labels = (self._stream, self._consumer)
        metrics.CONSUMER_PENDING.labels(*labels).set(info.num_pending or 0)
        metrics.CONSUMER_ACK_PENDING.labels(*labels).set(info.num_ack_pending or 0)
        metrics.CONSUMER_REDELIVERED.labels(*labels).set(info.num_redelivered or 0)
