"""The one-machine broker keeps the contract of Knative's, and loses nothing."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.contract.broker_contract import (
    SUBSCRIPTIONS,
    DeadLettersContract,
    DeliveryContract,
    FiltersContract,
    IngressContract,
    Plane,
    RepliesContract,
    RetryContract,
    event_headers,
)
from tests.support.local_broker import NAMESPACE, LocalBroker, local_broker, write_manifests
from tests.support.nats import MAX_PAYLOAD_BYTES, NatsServer, free_port, nats_server
from tests.support.subscriber import Reply, Subscribers, subscribers


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """The broker as a process, with all Triggers of the suite."""
    folder: Path = tmp_path_factory.mktemp("broker")
    with nats_server() as nats, subscribers() as server:
        triggers = {each.name: each.spec(server.url("")) for each in SUBSCRIPTIONS}
        with local_broker(folder, nats.url, triggers) as broker:
            yield Plane(NAMESPACE, broker.url, server)


class TestFilters(FiltersContract): ...


class TestDelivery(DeliveryContract): ...


class TestRetries(RetryContract): ...


class TestDeadLetters(DeadLettersContract): ...


class TestReplies(RepliesContract): ...


class TestIngress(IngressContract): ...


@pytest.fixture
def server() -> Iterator[Subscribers]:
    """Subscribers of one test."""
    with subscribers() as running:
        yield running


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    """A NATS server of one test."""
    with nats_server() as running:
        yield running


def wanting(server: Subscribers, name: str, *, retry: int = 1000, delay: str = "PT0.05S") -> dict[str, Any]:
    """Return the spec of a Trigger that takes the events of its name and tries for long."""
    delivery = {
        "retry": retry,
        "backoffPolicy": "linear",
        "backoffDelay": delay,
        "timeout": "PT20S",
        "deadLetterSink": {"uri": server.url(f"{name}/dead")},
    }
    spec = {"filters": [{"exact": {"type": f"contract.{name}"}}], "subscriber": {"uri": server.url(name)}}
    return {**spec, "delivery": delivery}


def post(broker: LocalBroker, name: str, event_id: str, body: bytes = b"") -> httpx.Response:
    """Send one event."""
    return httpx.post(broker.url, headers=event_headers(name, event_id), content=body, timeout=30)


def post_until_taken(broker: LocalBroker, name: str, event_id: str) -> None:
    """Send one event as a sender does that may not lose it: again and again until the broker has taken it."""
    for _ in range(1000):
        try:
            response = post(broker, name, event_id)
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        if response.status_code == 202:
            return
        assert response.status_code == 503, response.text
        time.sleep(0.02)
    pytest.fail(f"{event_id} was not taken")


def wait_until(condition: Callable[[], bool], what: str, within_s: float = 20) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.01)


def ids(server: Subscribers, name: str) -> Counter[str]:
    """Return how often a subscriber was sent each event."""
    return Counter(call.headers["ce-id"] for call in server.received(name))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_broker_that_is_killed_loses_nothing(
    tmp_path: Path, nats: NatsServer, server: Subscribers, seed: int
) -> None:
    chance = random.Random(seed)
    answers = random.Random(seed)
    server.answer_with("one", lambda _: Reply(answers.choice((204, 204, 503)), after_s=0.01))
    events = [f"event-{number}" for number in range(120)]
    triggers = {
        "one": wanting(server, "one"),
        "two": {**wanting(server, "two"), "filters": [{"exact": {"type": "contract.one"}}]},
    }
    with local_broker(tmp_path, nats.url, triggers) as broker, ThreadPoolExecutor(8) as senders:
        sent = [senders.submit(post_until_taken, broker, "one", event_id) for event_id in events]
        for _ in range(2):
            time.sleep(chance.uniform(0.02, 0.25))
            broker.kill()
            broker.start()
        for each in sent:
            each.result()
        wait_until(lambda: all(set(ids(server, name)) == set(events) for name in triggers), "every event arrives")
        wait_until(lambda: broker.metric("petrosa_broker_waiting_events", trigger="one") == 0, "every event ends")


def test_what_was_delivered_is_not_delivered_again_after_an_orderly_stop(
    tmp_path: Path, nats: NatsServer, server: Subscribers
) -> None:
    server.answer_with("slow", lambda _: Reply(after_s=0.3))
    with local_broker(tmp_path, nats.url, {"slow": wanting(server, "slow")}) as broker:
        for number in range(4):
            assert post(broker, "slow", f"event-{number}").status_code == 202
        wait_until(lambda: len(ids(server, "slow")) == 4, "all requests are under way")
        assert broker.end() == 0
        broker.start()
        assert post(broker, "slow", "last").status_code == 202
        server.wait_for("slow", "last")
        assert set(ids(server, "slow").values()) == {1}


def test_beyond_the_bound_a_sender_is_told_to_come_back_and_other_triggers_go_on(
    tmp_path: Path, nats: NatsServer, server: Subscribers
) -> None:
    is_away = Event()
    is_away.set()
    server.answer_with("stuck", lambda _: Reply(503 if is_away.is_set() else 204))
    body = bytes(7 * 1024 * 1024)
    triggers = {name: wanting(server, name, delay="PT0.5S") for name in ("stuck", "other")}
    with local_broker(tmp_path, nats.url, triggers) as broker:
        statuses = [post(broker, "stuck", f"event-{number}", body).status_code for number in range(6)]
        assert statuses == [202] * 5 + [503], "five times 7 MiB pass the bound of 32 MiB"
        refused = post(broker, "stuck", "small")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert post(broker, "other", "free").status_code == 202
        server.wait_for("other", "free")
        is_away.clear()
        post_until_taken(broker, "stuck", "later")
        server.wait_for("stuck", "later")
        wait_until(lambda: broker.metric("petrosa_broker_waiting_events", trigger="stuck") == 0, "all are delivered")
        assert "small" not in ids(server, "stuck")


def test_a_dead_letter_waits_for_its_sink(tmp_path: Path, nats: NatsServer, server: Subscribers) -> None:
    server.answer_with("refusing", lambda _: Reply(422, body=b"no"))
    port = free_port()
    trigger = wanting(server, "refusing", retry=2)
    trigger["delivery"]["deadLetterSink"] = {"uri": f"http://127.0.0.1:{port}/dead"}
    with local_broker(tmp_path, nats.url, {"refusing": trigger}) as broker:
        assert post(broker, "refusing", "letter", b"body").status_code == 202
        server.wait_for("refusing", "letter")
        time.sleep(0.3)
        broker.kill()
        broker.start()
        with subscribers(port) as sink:
            (letter,) = sink.wait_for("dead", "letter")
            assert (letter.body, letter.attribute("knativeerrorcode")) == (b"body", "422")
            wait_until(lambda: broker.metric("petrosa_broker_waiting_events", trigger="refusing") == 0, "it is taken")


def test_a_nats_server_that_is_killed_delays_events_and_loses_none(
    tmp_path: Path, nats: NatsServer, server: Subscribers
) -> None:
    is_away = Event()
    is_away.set()
    server.answer_with("one", lambda _: Reply(503 if is_away.is_set() else 204))
    with local_broker(tmp_path, nats.url, {"one": wanting(server, "one")}) as broker:
        assert post(broker, "one", "before").status_code == 202
        nats.kill()
        broker.wait_status("/readyz", 503)
        refused = post(broker, "one", "meanwhile")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        is_away.clear()
        server.wait_for("one", "before")
        nats.start()
        post_until_taken(broker, "one", "after")
        server.wait_for("one", "after")
        broker.wait_status("/readyz", 200)
        broker.kill()
        broker.start()
        post_until_taken(broker, "one", "last")
        server.wait_for("one", "last")
        time.sleep(0.2)
        assert ids(server, "one")["after"] == 1, "what was delivered is gone from the store"


def test_a_failing_event_or_subscriber_holds_up_nothing_else(
    tmp_path: Path, nats: NatsServer, server: Subscribers
) -> None:
    server.answer_with("failing", lambda _: Reply(503))
    server.answer_with("hanging", lambda _: Reply(after_s=3))
    server.answer_with("mixed", lambda call: Reply(503 if "bad" in call.headers["ce-id"] else 204))
    triggers = {name: wanting(server, name, delay="PT1S") for name in ("failing", "hanging", "mixed", "good")}
    with local_broker(tmp_path, nats.url, triggers) as broker:
        for number in range(20):
            for name in ("failing", "hanging"):
                assert post(broker, name, f"{name}-{number}").status_code == 202
            assert post(broker, "mixed", f"bad-{number}").status_code == 202
        started = time.monotonic()
        for name in ("mixed", "good"):
            for number in range(20):
                assert post(broker, name, f"fine-{number}").status_code == 202
            for number in range(20):
                server.wait_for(name, f"fine-{number}")
        assert time.monotonic() - started < 2.5
        assert server.most_at_once["hanging"] <= 8


def test_an_event_that_the_store_cannot_hold_is_refused_for_good(
    tmp_path: Path, nats: NatsServer, server: Subscribers
) -> None:
    with local_broker(tmp_path, nats.url, {"one": wanting(server, "one")}) as broker:
        assert post(broker, "one", "large", bytes(MAX_PAYLOAD_BYTES + 1)).status_code == 413
        assert post(broker, "one", "just too large", bytes(MAX_PAYLOAD_BYTES - 64)).status_code == 413
        assert post(broker, "one", "fits", bytes(MAX_PAYLOAD_BYTES - 4096)).status_code == 202
        server.wait_for("one", "fits")
        assert set(ids(server, "one")) == {"fits"}


def test_a_ping_source_fires_through_the_broker(tmp_path: Path, nats: NatsServer, server: Subscribers) -> None:
    sink = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}}
    ping_source = {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "PingSource",
        "metadata": {"name": "often", "namespace": NAMESPACE},
        "spec": {
            "schedule": "* * * * * *",
            "timezone": "Europe/Berlin",
            "contentType": "application/json",
            "data": '{"full": true}',
            "sink": sink,
            "ceOverrides": {"extensions": {"schedule": "audit"}},
        },
    }
    trigger = {
        **wanting(server, "ticks"),
        "filters": [{"exact": {"type": "dev.knative.sources.ping", "schedule": "audit"}}],
    }
    write_manifests(tmp_path, {"ticks": trigger}, ping_sources=[ping_source])
    broker = LocalBroker(tmp_path, nats.url, cron=True)
    try:
        broker.start()
        wait_until(lambda: len(server.received("ticks")) >= 2, "two ticks arrive")
    finally:
        broker.end()
    ticks = server.received("ticks")
    assert len(ids(server, "ticks")) == len(ticks), "each tick has an id of its own"
    assert ticks[0].headers["ce-source"] == f"/apis/v1/namespaces/{NAMESPACE}/pingsources/often"
    assert ticks[0].headers["content-type"] == "application/json"
    assert json.loads(ticks[0].body) == {"full": True}
