"""The one-machine broker loses nothing: killed, without its NATS server, with subscribers and sinks that are away."""

import contextlib
import itertools
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.local_broker import LocalBroker, local_broker
from tests.support.nats import NatsServer, nats_server
from tests.support.patience import PATIENCE_S
from tests.support.subscriber import Received, Reply, Subscribers, subscribers

FAST = {"retry": 500, "backoffPolicy": "linear", "backoffDelay": "PT0.01S", "timeout": "PT10S"}
HEADERS = {"ce-specversion": "1.0", "ce-source": "/tests", "ce-type": "kept", "content-type": "application/json"}


@pytest.fixture(scope="module")
def nats() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
def own_nats() -> Iterator[NatsServer]:
    """A server that the test may kill."""
    with nats_server() as server:
        yield server


@pytest.fixture
def sinks() -> Iterator[Subscribers]:
    with subscribers() as server:
        yield server


def taking(url: str, kind: str = "kept", delivery: dict[str, Any] | None = None, **sink: str) -> dict[str, Any]:
    """Return the spec of a Trigger that takes one type of events."""
    letters = {"deadLetterSink": {"uri": sink["dead"]}} if sink else {}
    return {
        "filters": [{"exact": {"type": kind}}],
        "subscriber": {"uri": url},
        "delivery": {**(delivery or FAST), **letters},
    }


def post(broker: LocalBroker, identity: str, body: bytes = b"{}", kind: str = "kept") -> httpx.Response:
    return httpx.post(broker.url, headers={**HEADERS, "ce-id": identity, "ce-type": kind}, content=body, timeout=60)


def kept(broker: LocalBroker, trigger: str) -> float:
    return broker.metric("petrosa_broker_waiting_events", trigger=trigger)


def wait_until_empty(broker: LocalBroker, trigger: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while kept(broker, trigger):
        assert time.monotonic() < deadline_s, broker.log_text()
        time.sleep(0.02)


def test_a_killed_broker_delivers_after_its_restart_what_it_had_taken(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    sinks.answer_with("slow", lambda _: Reply(503))
    with local_broker(tmp_path, nats.url, {"slow": taking(sinks.url("slow"))}) as broker:
        identities = [f"killed-{number}" for number in range(30)]
        for number, identity in enumerate(identities):
            assert post(broker, identity, bytes([number]) * 50_000).status_code == 202
        broker.kill()
        sinks.answer_with("slow", lambda _: Reply())
        broker.start()
        for number, identity in enumerate(identities):
            assert sinks.wait_for("slow", identity)[-1].body == bytes([number]) * 50_000
        wait_until_empty(broker, "slow")
        before = len(sinks.received("slow"))
        broker.kill()
        broker.start()
        time.sleep(0.3)
        assert len(sinks.received("slow")) == before, "what was delivered came again"


@pytest.mark.parametrize("prefer", ["return=minimal", "wait=1"])
def test_kills_at_any_moment_lose_nothing_that_was_taken(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers, prefer: str
) -> None:
    taken: list[str] = []

    def send(broker: LocalBroker, prefix: str, ended: threading.Event) -> None:
        with httpx.Client(timeout=60) as client:
            for number in itertools.count():
                if ended.is_set():
                    return
                identity = f"{prefix}-{number}"
                with contextlib.suppress(httpx.TransportError):
                    headers = {**HEADERS, "ce-id": identity, "prefer": prefer}
                    if client.post(broker.url, headers=headers).status_code == 202:
                        taken.append(identity)

    with local_broker(tmp_path, nats.url, {"any": taking(sinks.url("any"))}) as broker:
        for round_number in range(3):
            ended = threading.Event()
            before = len(taken)
            threads = [
                threading.Thread(target=send, args=(broker, f"any-{round_number}-{name}", ended)) for name in "abcd"
            ]
            for thread in threads:
                thread.start()
            while len(taken) < before + 20 + 7 * round_number:
                time.sleep(0.001)
            broker.kill()
            ended.set()
            for thread in threads:
                thread.join()
            broker.start()
        wait_until_empty(broker, "any")
    assert set(taken) <= {request.attribute("id") for request in sinks.received("any")}


def test_a_stop_in_order_is_quick_and_loses_nothing(tmp_path: Path, nats: NatsServer, sinks: Subscribers) -> None:
    sinks.answer("stopped", Reply(503))
    delivery = {**FAST, "backoffPolicy": "exponential", "backoffDelay": "PT60S"}
    with local_broker(tmp_path, nats.url, {"stopped": taking(sinks.url("stopped"), delivery=delivery)}) as broker:
        post(broker, "stopped")
        sinks.wait_for("stopped", "stopped")
        began_s = time.monotonic()
        assert broker.end(signal.SIGTERM) == 0
        assert time.monotonic() - began_s < 30, "it waited for the next attempt, a minute later"
        broker.start()
        sinks.wait_for("stopped", "stopped", 2)


def test_without_its_nats_server_the_broker_says_so_and_comes_back_with_it(
    tmp_path: Path, own_nats: NatsServer, sinks: Subscribers
) -> None:
    with local_broker(tmp_path, own_nats.url, {"back": taking(sinks.url("back"))}) as broker:
        sinks.answer("back", Reply(503, after_s=0.5))
        assert post(broker, "before").status_code == 202
        own_nats.kill()
        broker.wait_status("/readyz", 503)
        refused = post(broker, "meanwhile")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert httpx.get(f"{broker.base}/healthz").status_code == 200
        sinks.wait_for("back", "before", 2)  # deliveries go on
        own_nats.start()
        broker.wait_status("/readyz", 200)
        assert post(broker, "after").status_code == 202
        sinks.wait_for("back", "after")
        wait_until_empty(broker, "back")
        broker.kill()
        broker.start()
        time.sleep(0.3)
        assert len(sinks.events("back", "before")) == 2


def test_a_broker_started_before_its_nats_server_waits_for_it(
    tmp_path: Path, own_nats: NatsServer, sinks: Subscribers
) -> None:
    own_nats.kill()
    with local_broker(tmp_path, own_nats.url, {"early": taking(sinks.url("early"))}, start=False) as broker:
        broker.start(until_ready=False)
        assert httpx.get(f"{broker.base}/readyz").status_code == 503
        assert post(broker, "early").status_code == 503
        own_nats.start()
        broker.wait_status("/readyz", 200)
        assert post(broker, "early").status_code == 202
        sinks.wait_for("early", "early")


def test_an_event_that_was_kept_although_its_sender_was_told_otherwise_is_delivered(
    tmp_path: Path, own_nats: NatsServer, sinks: Subscribers
) -> None:
    with local_broker(tmp_path, own_nats.url, {"doubt": taking(sinks.url("doubt"))}) as broker:
        own_nats.freeze()
        try:
            assert post(broker, "doubt").status_code == 503
        finally:
            own_nats.thaw()
        sinks.wait_for("doubt", "doubt")
        wait_until_empty(broker, "doubt")


def test_a_stream_that_was_lost_is_made_anew(tmp_path: Path, own_nats: NatsServer, sinks: Subscribers) -> None:
    sinks.answer("anew", *[Reply(503, after_s=0.1)] * 10)
    with local_broker(tmp_path, own_nats.url, {"anew": taking(sinks.url("anew"))}) as broker:
        assert post(broker, "old").status_code == 202
        own_nats.kill()
        shutil.rmtree(own_nats.log.parent / "jetstream")
        own_nats.start()
        broker.wait_status("/readyz", 200)
        deadline_s = time.monotonic() + PATIENCE_S
        while post(broker, "new").status_code != 202:
            assert time.monotonic() < deadline_s, broker.log_text()
        sinks.wait_for("anew", "old", 2)
        sinks.wait_for("anew", "new")


def test_an_event_stays_until_the_dead_letter_sink_took_it(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    sinks.answer_with("bad", lambda _: Reply(422, body=b"no"))
    sinks.answer_with("letters", lambda _: Reply(400))
    delivery = {**FAST, "retry": 1}
    trigger = taking(sinks.url("bad"), delivery=delivery, dead=sinks.url("letters"))
    with local_broker(tmp_path, nats.url, {"bad": trigger}) as broker:
        post(broker, "refused-by-both")
        sinks.wait_for("letters", "refused-by-both")
        assert kept(broker, "bad") == 1
        broker.kill()
        sinks.answer("letters", Reply(503), Reply(503), Reply(503))  # more often than the Trigger retries
        sinks.answer_with("letters", lambda _: Reply())
        broker.start()
        sinks.wait_for("letters", "refused-by-both", 5)
        wait_until_empty(broker, "bad")


def test_a_full_trigger_holds_back_its_senders_and_no_others(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    gate = threading.Event()

    def wait(_: Received) -> Reply:
        gate.wait(PATIENCE_S)
        return Reply()

    sinks.answer_with("full", wait)
    triggers = {"full": taking(sinks.url("full")), "other": taking(sinks.url("other"), kind="other")}
    with local_broker(tmp_path, nats.url, triggers) as broker:
        statuses = [post(broker, f"full-{number}", bytes(4_000_000)).status_code for number in range(12)]
        assert statuses[:8] == [202] * 8
        refused = post(broker, "full-last")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert post(broker, "other", kind="other").status_code == 202
        sinks.wait_for("other", "other")
        gate.set()
        wait_until_empty(broker, "full")
        assert post(broker, "full-last").status_code == 202
        sinks.wait_for("full", "full-last")


def test_a_subscriber_gets_no_more_at_once_than_it_declares(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    gate = threading.Event()

    def wait(_: Received) -> Reply:
        gate.wait(PATIENCE_S)
        return Reply()

    sinks.answer_with("narrow", wait)
    trigger = {**taking(""), "subscriber": _service("narrow")}
    addresses = {"narrow": sinks.url("narrow")}
    with local_broker(tmp_path, nats.url, {"narrow": trigger}, services={"narrow": 3}, addresses=addresses) as broker:
        for number in range(20):
            post(broker, f"narrow-{number}")
        gate.set()
        wait_until_empty(broker, "narrow")
    assert len(sinks.received("narrow")) == 20
    assert sinks.most_at_once["narrow"] == 3


def test_an_event_larger_than_the_server_takes_is_refused(tmp_path: Path, nats: NatsServer, sinks: Subscribers) -> None:
    limit = 8 * 1024 * 1024
    with local_broker(tmp_path, nats.url, {"large": taking(sinks.url("large"))}) as broker:
        assert post(broker, "over", bytes(limit + 1)).status_code == 413
        assert post(broker, "with headers", bytes(limit - 10)).status_code == 413
        assert post(broker, "fits", bytes(limit - 2000)).status_code == 202
        assert len(sinks.wait_for("large", "fits")[0].body) == limit - 2000


def test_events_of_a_trigger_whose_subscriber_does_not_run_wait_for_it(
    tmp_path: Path, nats: NatsServer, sinks: Subscribers
) -> None:
    sinks.answer_with("gone", lambda _: Reply(503))
    trigger = {**taking(""), "subscriber": _service("gone")}
    addresses = {"gone": sinks.url("gone")}
    with local_broker(tmp_path, nats.url, {"gone": trigger}, services={"gone": 0}, addresses=addresses) as broker:
        post(broker, "waits")
    with local_broker(tmp_path, nats.url, {"gone": trigger}, services={"gone": 0}) as broker:
        assert post(broker, "unwanted").status_code == 202
        assert "nobody runs for a Trigger" in broker.log_text()
    sinks.answer_with("gone", lambda _: Reply())
    with local_broker(tmp_path, nats.url, {"gone": trigger}, services={"gone": 0}, addresses=addresses) as broker:
        sinks.wait_for("gone", "waits")
        wait_until_empty(broker, "gone")
    assert not sinks.events("gone", "unwanted")


def test_what_happened_stands_in_the_metrics(tmp_path: Path, nats: NatsServer, sinks: Subscribers) -> None:
    sinks.answer("counted", Reply(503), Reply(400))
    trigger = taking(sinks.url("counted"), dead=sinks.url("dead"))
    with local_broker(tmp_path, nats.url, {"counted": trigger}) as broker:
        post(broker, "counted")
        sinks.wait_for("dead", "counted")
        wait_until_empty(broker, "counted")
        assert broker.metric("petrosa_broker_events_received_total", type="kept", status="202") == 1
        assert broker.metric("petrosa_broker_deliveries_total", trigger="counted", status="503") == 1
        assert broker.metric("petrosa_broker_retries_total", trigger="counted") == 1
        assert broker.metric("petrosa_broker_dead_letters_total", trigger="counted", status="400") == 1
        assert broker.metric("petrosa_broker_delivery_seconds_count", trigger="counted") == 3
        assert broker.metric("petrosa_broker_nats_connected") == 1


def _service(name: str) -> dict[str, Any]:
    return {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}}
