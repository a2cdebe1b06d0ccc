"""The stream of the one-machine broker: what need not stand in it does not, and it never overflows."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.js import JetStreamContext
from nats.js.api import StreamState

from infra.local.broker.store import STREAM
from tests.support.bridge import bridge, on, publish, wait_settled
from tests.support.local_broker import NAMESPACE, LocalBroker, local_broker
from tests.support.messages import message
from tests.support.nats import NatsServer, nats_server
from tests.support.subscriber import Received, Reply, Subscribers, subscribers

SMALL = {"BROKER_STREAM_MAX_BYTES": str(1024**2)}
HEADERS = {"ce-specversion": "1.0", "ce-source": "/tests", "ce-type": "io.petrosa.market.trade.v1"}
FILL = "petrosa_stream_fill_ratio"


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
def sinks() -> Iterator[Subscribers]:
    with subscribers() as server:
        yield server


def taking(sinks: Subscribers, name: str, **others: Any) -> dict[str, Any]:
    """Return the spec of a Trigger that takes everything and tries for long."""
    delivery = {"retry": 500, "backoffPolicy": "linear", "backoffDelay": "PT0.05S", "timeout": "PT20S", **others}
    return {"subscriber": {"uri": sinks.url(name)}, "delivery": delivery}


def post(broker: LocalBroker, identity: str, body: bytes = b"{}", prefer: str | None = None) -> httpx.Response:
    headers = {**HEADERS, "ce-id": identity, **({"prefer": prefer} if prefer else {})}
    return httpx.post(broker.url, headers=headers, content=body, timeout=60)


def stream(server: NatsServer) -> StreamState:
    async def state(js: JetStreamContext) -> StreamState:
        return (await js.stream_info(STREAM)).state

    return on(server, state)


def wait_until_empty(server: NatsServer, within_s: float = 15.0) -> None:
    deadline_s = time.monotonic() + within_s
    while stream(server).messages:
        assert time.monotonic() < deadline_s, "the stream did not become empty"
        time.sleep(0.05)


def fill(broker: LocalBroker, prefer: str | None = None) -> list[str]:
    """Send events until the broker holds its senders back; return the ids of those that it took."""
    taken: list[str] = []
    for number in range(50):
        answer = post(broker, f"event-{number}", bytes(100_000), prefer)
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
            return taken
        assert answer.status_code == 202
        taken.append(f"event-{number}")
    raise AssertionError("the broker took everything")


class Gate:
    """A subscriber's answer that waits until the gate is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, _: Received) -> Reply:
        self.opened.wait(30)
        return Reply()


def test_what_is_delivered_while_its_sender_waits_is_never_written(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    with local_broker(tmp_path, nats.url, {"one": taking(sinks, "one"), "two": taking(sinks, "two")}) as broker:
        assert post(broker, "waits", prefer="wait=30").status_code == 202
        assert len(sinks.events("one", "waits")) == len(sinks.events("two", "waits")) == 1
        assert stream(nats).last_seq == 0
        assert post(broker, "does not wait").status_code == 202
        wait_until_empty(nats)
        assert stream(nats).last_seq == 2


@pytest.mark.parametrize("prefer", ["wait=1", "respond-async, wait=30"])
def test_what_takes_longer_or_fails_is_kept_for_those_that_do_not_have_it(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers, prefer: str
) -> None:
    gate = Gate()
    sinks.answer_with("late", gate if prefer == "wait=1" else lambda _: Reply(503))
    with local_broker(tmp_path, nats.url, {"quick": taking(sinks, "quick"), "late": taking(sinks, "late")}) as broker:
        assert post(broker, "kept", prefer=prefer).status_code == 202
        assert stream(nats).messages == 1
        broker.kill()
        gate.opened.set()
        sinks.answer_with("late", lambda _: Reply())
        before = len(sinks.events("late", "kept"))
        broker.start()
        sinks.wait_for("late", "kept", before + 1)
        wait_until_empty(nats)
        assert len(sinks.events("quick", "kept")) == 1


@pytest.mark.parametrize("prefer", [None, "wait=1"])
def test_a_stream_that_fills_up_holds_back_senders_and_loses_nothing(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers, prefer: str | None
) -> None:
    gate = Gate()
    sinks.answer_with("away", gate)
    with local_broker(tmp_path, nats.url, {"away": taking(sinks, "away")}, environment=SMALL) as broker:
        taken = fill(broker, prefer)
        assert 0.7 < broker.metric(FILL, stream=STREAM) <= 0.9
        assert stream(nats).messages == len(taken) > 5
        gate.opened.set()
        wait_until_empty(nats)
        assert broker.metric(FILL, stream=STREAM) == 0
        assert post(broker, "afterwards").status_code == 202
        sinks.wait_for("away", "afterwards")
        delivered = Counter(call.headers["ce-id"] for call in sinks.received("away") if call.headers["ce-id"] in taken)
    assert delivered == dict.fromkeys(taken, 1)


def test_what_a_full_stream_refuses_is_not_delivered_to_others_again_and_again(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    sinks.answer_with("away", lambda _: Reply(503))
    triggers = {
        "away": {**taking(sinks, "away"), "filter": {"attributes": {"type": HEADERS["ce-type"]}}},
        "quick": taking(sinks, "quick"),
    }
    with local_broker(tmp_path, nats.url, triggers, environment=SMALL) as broker:
        refused = f"event-{len(fill(broker, 'wait=1'))}"
        for _ in range(3):
            assert post(broker, refused, bytes(100_000), "wait=1").status_code == 503
        assert sinks.events("quick", refused) == []
        unaffected = {**HEADERS, "ce-id": "of another type", "ce-type": "other", "prefer": "wait=1"}
        assert httpx.post(broker.url, headers=unaffected, content=bytes(200_000), timeout=60).status_code == 202
        sinks.answer_with("away", lambda _: Reply())
        wait_until_empty(nats)
        assert post(broker, refused, bytes(100_000), "wait=1").status_code == 202
        assert len(sinks.events("quick", refused)) == len(sinks.events("away", refused)) == 1


def test_a_full_stream_stays_full_and_whole_through_a_kill_and_a_lower_limit(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    sinks.answer_with("away", lambda _: Reply(503))
    larger = {"BROKER_STREAM_MAX_BYTES": str(2 * 1024**2)}
    with local_broker(tmp_path, nats.url, {"away": taking(sinks, "away")}, environment=larger) as broker:
        taken = fill(broker)
        broker.kill()
    with local_broker(tmp_path, nats.url, {"away": taking(sinks, "away")}, environment=SMALL) as broker:
        assert post(broker, "more", bytes(100_000)).status_code == 503
        assert stream(nats).messages == len(taken)
        sinks.answer_with("away", lambda _: Reply())
        wait_until_empty(nats)
        assert post(broker, "more", bytes(100_000)).status_code == 202
        for identity in [*taken, "more"]:
            sinks.wait_for("away", identity)


def test_a_bridge_before_a_full_stream_holds_back_and_delivers_everything(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    messages = [message("trade", t=number) for number in range(20_000)]
    taken: Counter[bytes] = Counter()
    is_away, lock = threading.Event(), threading.Lock()
    is_away.set()

    def take(request: Received) -> Reply:
        if is_away.is_set():
            return Reply(503)
        with lock:
            taken.update(request.body.split(b"\n"))
        return Reply()

    sinks.answer_with("away", take)
    with (
        local_broker(tmp_path, nats.url, {"away": taking(sinks, "away")}, environment=SMALL) as broker,
        bridge(nats, None, tmp_path, K_SINK=broker.url) as process,
    ):
        process.start()
        publish(nats, messages)
        process.wait_until(lambda: "stream is full" in (process.status()["sink_error"] or ""))
        is_away.clear()
        wait_settled(nats)
        wait_until_empty(nats)
    assert taken == dict.fromkeys(messages, 1)


def test_the_limit_of_age_clears_away_only_what_no_broker_delivers(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    async def leave(js: JetStreamContext) -> None:
        await js.publish(f"petrosa.broker.{NAMESPACE}.default.gone", b"of a Trigger that is gone")

    sinks.answer_with("kept", lambda _: Reply(503))
    aging = {"BROKER_STREAM_MAX_AGE": "6s"}
    with local_broker(tmp_path, nats.url, {"kept": taking(sinks, "kept")}, environment=aging) as broker:
        assert post(broker, "old").status_code == 202
        on(nats, leave)
        deadline_s = time.monotonic() + 30
        while (state := stream(nats)).first_seq <= 3 or state.messages != 1:  # written anew twice, the other one gone
            assert time.monotonic() < deadline_s, state
            time.sleep(0.1)
        sinks.answer_with("kept", lambda _: Reply())
        wait_until_empty(nats)
        before = len(sinks.events("kept", "old"))
        time.sleep(0.3)
        assert len(sinks.events("kept", "old")) == before
