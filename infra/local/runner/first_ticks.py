"""Ticks by hand: the events that a PingSource would send, posted to the broker of the running system.

At the start of a system every schedule is fired once, so that its results need not wait for the cron; with a feed
that publishes history first, as soon as that history is stored.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import ConsumerInfo

from common.events import Event, types
from infra.local.broker.store import STREAM as BROKER_STREAM
from infra.local.runner.observation import read_feed
from infra.local.waiting import until

_POLL_S: Final = 0.25


def tick(schedule: str, source: str, now_ms: int) -> Event:
    """Return the event of one schedule.

    Args:
        schedule: its name, as the extension says it.
        source: the ``source`` attribute of the PingSource's events.
        now_ms: the present.
    """
    return Event(
        type=types.PING,
        source=source,
        time_ms=now_ms,
        extensions={types.SCHEDULE: schedule, types.MANUAL: "true"},
    )


async def history_is_stored(feed_file: Path, nats_url: str, market_stream: str, *, timeout_s: float) -> bool:
    """Wait until the feed's history is published, and handed on by whatever reads it from the server.

    Args:
        feed_file: where the feed writes how far it came.
        nats_url: the server.
        market_stream: the stream that the feed publishes to.
        timeout_s: after which not to wait any longer.

    Returns:
        Whether that was seen.
    """

    async def published() -> bool:
        progress = read_feed(feed_file)
        return progress is not None and progress.phase == "live"

    try:
        async with asyncio.timeout(timeout_s):
            await until(published, every_s=_POLL_S)
            while True:
                try:
                    await _consumed(nats_url, market_stream)
                except (NatsError, OSError):  # a busy server answers late
                    await asyncio.sleep(_POLL_S)
                else:
                    return True
    except TimeoutError:
        return False


async def _consumed(nats_url: str, market_stream: str) -> None:
    """Wait until the bridge has handed on what the market's stream holds by now, and the broker has delivered it."""
    client = Client()
    await client.connect(nats_url, max_reconnect_attempts=-1, error_cb=_quiet)
    try:
        last = (await client.jsm().stream_info(market_stream)).state.last_seq
        await until(partial(_is_read, client, market_stream, last), every_s=_POLL_S)
        # What the bridge hands on lies in the broker's stream before it is acknowledged to the market's.
        last = (await client.jsm().stream_info(BROKER_STREAM)).state.last_seq
        await until(partial(_is_delivered, client, last), every_s=_POLL_S)
    finally:
        await client.close()


async def _is_read(client: Client, stream: str, last_sequence: int) -> bool:
    return all(_has_read(consumer, last_sequence) for consumer in await client.jsm().consumers_info(stream))


async def _is_delivered(client: Client, last_sequence: int) -> bool:
    """The broker removes from its stream what was delivered."""
    state = (await client.jsm().stream_info(BROKER_STREAM)).state
    return state.messages == 0 or state.first_seq > last_sequence


def _has_read(consumer: ConsumerInfo, last_sequence: int) -> bool:
    if not consumer.num_pending and not consumer.num_ack_pending:
        return True
    return consumer.ack_floor is not None and consumer.ack_floor.stream_seq >= last_sequence


async def _quiet(_error: Exception) -> None:
    """Take the client's errors: it reconnects by itself, and the wait has a bound."""
