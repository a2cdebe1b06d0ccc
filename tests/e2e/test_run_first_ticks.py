"""The first ticks wait until a feed's history is stored, against a real NATS server."""

import asyncio
import json
from pathlib import Path

import nats
from nats.js.api import AckPolicy, ConsumerConfig

from infra.local.broker.store import STREAM as BROKER_STREAM
from infra.local.runner.first_ticks import history_is_stored
from tests.support.nats import nats_server

STREAM = "MARKET"


def test_history_counts_as_stored_when_published_and_acknowledged(tmp_path: Path) -> None:
    feed_file = tmp_path / "feed.json"

    async def body(url: str) -> None:
        client = await nats.connect(url)
        jetstream = client.jetstream()
        await jetstream.add_stream(name=STREAM, subjects=["market"])
        await jetstream.add_stream(name=BROKER_STREAM, subjects=["broker"])
        kept = await jetstream.publish("broker", b"an event on its way")
        config = ConsumerConfig(durable_name="bridge", ack_policy=AckPolicy.EXPLICIT)
        subscription = await jetstream.pull_subscribe("market", "bridge", stream=STREAM, config=config)
        for number in range(20):
            await jetstream.publish("market", str(number).encode())

        waiting = asyncio.create_task(history_is_stored(feed_file, url, STREAM, timeout_s=20))
        feed_file.write_text(json.dumps({"phase": "history", "published": 10}))
        for message in await subscription.fetch(20):
            await message.ack()
        await asyncio.sleep(0.5)
        assert not waiting.done(), "the feed is not through with its history"

        await jetstream.publish("market", b"the last of the history")
        feed_file.write_text(json.dumps({"phase": "live", "published": 21}))
        (last,) = await subscription.fetch(1)
        await asyncio.sleep(0.7)
        assert not waiting.done(), "a message of the history is not acknowledged"

        await last.ack()
        await asyncio.sleep(0.7)
        assert not waiting.done(), "an event is not delivered"

        await jetstream.delete_msg(BROKER_STREAM, kept.seq)
        assert await waiting
        await client.close()

    with nats_server(tmp_path) as server:
        asyncio.run(body(server.url))


def test_the_wait_has_a_bound(tmp_path: Path) -> None:
    missing = history_is_stored(tmp_path / "feed.json", "nats://127.0.0.1:1", STREAM, timeout_s=0.3)
    assert not asyncio.run(missing)
