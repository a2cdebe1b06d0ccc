"""The one-machine broker keeps the contract of Knative's broker and PingSources."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.broker_contract import (
    SUBSCRIPTIONS,
    DeadLettersContract,
    DeliveryContract,
    FiltersContract,
    IngressContract,
    RepliesContract,
    RetryContract,
)
from tests.support.broker_plane import Plane, event_headers
from tests.support.local_broker import NAMESPACE, LocalBroker, local_broker, write_manifests
from tests.support.nats import NatsServer, nats_server
from tests.support.patience import PATIENCE_S
from tests.support.subscriber import Received, Reply, Subscribers, subscribers


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
    return httpx.post(broker.url, headers=event_headers(name, event_id), content=body, timeout=60, verify=False)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.01)


def ids(server: Subscribers, name: str) -> Counter[str]:
    """Return how often a subscriber was sent each event."""
    return Counter(call.headers["ce-id"] for call in server.received(name))


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


def test_a_failing_event_or_subscriber_holds_up_nothing_else(
    tmp_path: Path, nats: NatsServer, server: Subscribers
) -> None:
    gate = threading.Event()

    def hang(_: Received) -> Reply:
        gate.wait(PATIENCE_S)
        return Reply()

    server.answer_with("failing", lambda _: Reply(503))
    server.answer_with("hanging", hang)
    server.answer_with("mixed", lambda call: Reply(503 if "bad" in call.headers["ce-id"] else 204))
    triggers = {name: wanting(server, name, delay="PT60S") for name in ("failing", "hanging", "mixed", "good")}
    with local_broker(tmp_path, nats.url, triggers) as broker:
        for number in range(12):
            for name in ("failing", "hanging"):
                assert post(broker, name, f"{name}-{number}").status_code == 202
            assert post(broker, "mixed", f"bad-{number}").status_code == 202
        started = time.monotonic()
        for name in ("mixed", "good"):
            for number in range(12):
                assert post(broker, name, f"fine-{number}").status_code == 202
            for number in range(12):
                server.wait_for(name, f"fine-{number}")
        assert time.monotonic() - started < PATIENCE_S / 4, "they waited for those that fail or hang"
        assert server.most_at_once["hanging"] <= 8
        gate.set()


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
