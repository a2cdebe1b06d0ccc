"""Whatever fails beside the bridge, or ends it: every message arrives, and soon after the fault is over."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.js import JetStreamContext

from tests.support.bridge import CONSUMER, STREAM, bridge, consumer_info, on, publish, wait_settled
from tests.support.messages import message
from tests.support.nats import NatsServer, nats_server
from tests.support.patience import PATIENCE_S
from tests.support.sink import HttpSink, http_sink


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


def trades(count: int, start: int = 0) -> list[bytes]:
    return [message("trade", t=number) for number in range(start, start + count)]


# What a stop at once must stay below: the time that batches at the sink get to finish; what a hanging sink is given.
FINISH_S = 8
SINK_TIMEOUT_S = 60
# Where every message has to come once: a bridge that gets no processor for a while has not lost its messages.
UNHURRIED = {"NATS_ACK_WAIT_SECONDS": "30"}


def wait_taken(sink: HttpSink, messages: list[bytes], seconds: float = PATIENCE_S) -> None:
    wanted = set(messages)
    sink.wait_for(lambda: wanted <= set(sink.lines()), seconds)


@pytest.mark.parametrize("status", [503, 404, 302])
def test_a_sink_that_fails_gets_everything_when_it_is_back(
    server: NatsServer, sink: HttpSink, tmp_path: Path, status: int
) -> None:
    messages = trades(500)
    with bridge(server, sink, tmp_path) as process:
        sink.status = status
        publish(server, messages)
        process.wait_until(lambda: process.get("/readyz")[0] == 503)
        assert process.status()["sink"] == "failing"
        assert str(status) in process.status()["sink_error"]
        time.sleep(1)
        assert len(sink.received) < 20, "a failing sink is asked a few times a second, not flooded"
        sink.status = 202
        wait_taken(sink, messages)
        wait_settled(server)
        assert process.get("/readyz")[0] == 200
    assert sink.counted() == dict.fromkeys(messages, 1)


def test_a_sink_that_is_away_gets_everything_when_it_is_back(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    messages = trades(3000)
    with bridge(server, sink, tmp_path):
        publish(server, messages[:1000])
        wait_taken(sink, messages[:1000])
        sink.stop()
        publish(server, messages[1000:])
        time.sleep(1)
        sink.start()
        wait_taken(sink, messages)
        wait_settled(server)


def test_a_sink_that_is_away_for_long_holds_little_and_is_found_again_soon(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    messages = trades(4000)
    small = {"BRIDGE_BATCH_MESSAGES": "50", "BRIDGE_BATCHES_IN_FLIGHT": "2", "NATS_ACK_WAIT_SECONDS": "1"}
    with bridge(server, sink, tmp_path, **small) as process:
        sink.stop()
        publish(server, messages)
        # After twice the ack wait, all but one batch were given back, for another replica to try.
        process.wait_until(lambda: process.metric("petrosa_bridge_messages_returned_total") > 0)
        process.wait_until(lambda: process.status()["held_messages"] <= 50)
        sink.start()
        sink.wait_for(lambda: bool(sink.taken))
        wait_taken(sink, messages)
        wait_settled(server)


def test_a_sink_that_hangs_gets_everything_again(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = trades(500)
    with bridge(server, sink, tmp_path, SINK_TIMEOUT_SECONDS="1"):
        sink.is_hanging = True
        publish(server, messages)
        time.sleep(2.5)
        sink.judge = lambda _event: None
        sink.is_hanging = False
        wait_taken(sink, messages)
        wait_settled(server)


def test_a_slow_sink_is_not_sent_the_same_messages_again(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = trades(400)
    sink.delay_s = 4.0  # longer than the ack wait
    slow = {
        "NATS_ACK_WAIT_SECONDS": "3",
        "SINK_TIMEOUT_SECONDS": "30",
        "BRIDGE_BATCH_MESSAGES": "100",
        "BRIDGE_BATCHES_IN_FLIGHT": "4",
    }
    with bridge(server, sink, tmp_path, **slow) as process:
        publish(server, messages)
        wait_taken(sink, messages)
        wait_settled(server)
        assert process.metric("petrosa_bridge_messages_redelivered_total") == 0
    assert sink.counted() == dict.fromkeys(messages, 1)


def test_a_slow_sink_bounds_what_the_bridge_holds(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = trades(9000)
    sink.delay_s = 0.3
    small = {"BRIDGE_BATCH_MESSAGES": "100", "BRIDGE_BATCHES_IN_FLIGHT": "2", "SINK_TIMEOUT_SECONDS": "60"}
    with bridge(server, sink, tmp_path, **small, **UNHURRIED) as process:
        publish(server, messages)
        held = []
        for _ in range(20):
            held.append(process.status()["held_messages"])
            assert (consumer_info(server).num_ack_pending or 0) <= 1700
            time.sleep(0.05)
        assert 0 < max(held) <= 1600
        assert sink.most_at_once == 2
        sink.delay_s = 0.0
        wait_taken(sink, messages)
    assert sink.counted() == dict.fromkeys(messages, 1)


def test_one_batch_that_always_fails_does_not_stop_the_others(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    poison = message("ticker")
    sink.judge = lambda event: 500 if event.data == poison else None
    messages = trades(2000)
    with bridge(server, sink, tmp_path):
        publish(server, [poison])
        sink.wait_for(lambda: bool(sink.received))
        publish(server, messages)
        wait_taken(sink, messages)
        sink.judge = lambda _event: None
        wait_taken(sink, [poison])
        wait_settled(server)


def test_a_killed_server_loses_nothing(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = trades(6000)
    with bridge(server, sink, tmp_path) as process:
        for start in range(0, len(messages), 2000):
            publish(server, messages[start : start + 2000])
            server.kill()
            process.wait_until(lambda: process.get("/readyz")[0] == 503)
            assert process.status()["nats"] == "disconnected"
            server.start()
            process.wait_until(lambda: process.get("/readyz")[0] == 200)
        wait_taken(sink, messages)
        wait_settled(server)
        assert process.metric("data_manager_nats_reconnections_total") == 3


def test_a_frozen_server_is_noticed_and_survived(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = trades(2000)
    with bridge(server, sink, tmp_path) as process:
        publish(server, messages[:1000])
        wait_taken(sink, messages[:1000])
        server.freeze()
        process.wait_until(lambda: process.get("/readyz")[0] == 503)
        server.thaw()
        publish(server, messages[1000:])
        wait_taken(sink, messages)
        wait_settled(server)


def test_a_server_that_comes_later_is_found(sink: HttpSink, tmp_path: Path) -> None:
    with nats_server(start=False) as server, bridge(server, None, tmp_path, K_SINK=sink.url) as process:
        process.start(wait_ready=False)
        process.wait_until(lambda: process.get("/healthz")[0] == 200)
        assert process.get("/readyz")[0] == 503
        server.start()
        process.wait_until(lambda: process.get("/readyz")[0] == 200)
        publish(server, trades(10))
        wait_taken(sink, trades(10))


def test_a_consumer_or_stream_that_was_deleted_is_made_anew(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    with bridge(server, sink, tmp_path):
        publish(server, trades(10))
        wait_taken(sink, trades(10))
        on(server, lambda js: js.delete_consumer(STREAM, CONSUMER))
        publish(server, trades(10, start=10))
        wait_taken(sink, trades(20))

        async def stream_gone(js: JetStreamContext) -> None:
            await js.delete_stream(STREAM)

        on(server, stream_gone)
        deadline = time.monotonic() + PATIENCE_S
        while not _stream_exists(server):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        publish(server, trades(10, start=20))
        wait_taken(sink, trades(30))


def test_messages_above_a_limit_that_was_lowered_later_do_not_stop_the_flow(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    large = message("trade", x="y" * 5_000_000)
    with bridge(server, sink, tmp_path):
        pass
    publish(server, [large, *trades(1000), large, *trades(1000, start=1000)])
    server.max_payload = 1_000_000
    server.restart()
    with bridge(server, sink, tmp_path):
        wait_taken(sink, trades(2000))
        sink.wait_for(lambda: len(sink.lines("rejected")) == 2)
        wait_settled(server)


def test_a_killed_bridge_loses_nothing_and_its_successor_goes_on(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    messages = trades(9000)
    sink.delay_s = 0.02
    with bridge(server, sink, tmp_path, BRIDGE_BATCH_MESSAGES="100", NATS_ACK_WAIT_SECONDS="3") as process:
        for start in range(0, len(messages), 3000):
            publish(server, messages[start : start + 3000])
            process.kill()
            process.start()
        wait_taken(sink, messages)
        wait_settled(server)


def test_two_replicas_share_the_work(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = trades(12_000)
    with bridge(server, sink, tmp_path, **UNHURRIED) as first, bridge(server, sink, tmp_path, **UNHURRIED) as second:
        publish(server, messages)
        wait_taken(sink, messages)
        wait_settled(server)
        shares = [one.metric("petrosa_bridge_messages_delivered_total") for one in (first, second)]
        assert sum(shares) == len(messages)
        assert min(shares) > 1000
    assert sink.counted() == dict.fromkeys(messages, 1)


def test_a_killed_replica_s_messages_go_to_the_other(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = trades(12_000)
    sink.delay_s = 0.02
    with bridge(server, sink, tmp_path) as first, bridge(server, sink, tmp_path):
        publisher = threading.Thread(target=publish, args=(server, messages))
        publisher.start()
        first.wait_until(lambda: first.metric("petrosa_bridge_messages_delivered_total") > 0)
        first.kill()
        publisher.join()
        wait_taken(sink, messages)
        wait_settled(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_bridge_stops_at_once(
    server: NatsServer, sink: HttpSink, tmp_path: Path, number: signal.Signals
) -> None:
    with bridge(server, sink, tmp_path) as process:
        publish(server, trades(10))
        wait_taken(sink, trades(10))
        started = time.monotonic()
        assert process.stop(number) == 0
        assert time.monotonic() - started < FINISH_S


def test_a_bridge_without_a_server_stops_at_once(sink: HttpSink, tmp_path: Path) -> None:
    with nats_server(start=False) as absent, bridge(absent, None, tmp_path, K_SINK=sink.url) as process:
        process.start(wait_ready=False)
        process.wait_until(lambda: process.get("/healthz")[0] == 200)
        started = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - started < FINISH_S


def test_a_stop_lets_the_batches_at_the_sink_finish_and_gives_back_the_rest(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    messages = trades(3000)
    sink.delay_s = 1.0
    slow = {
        "BRIDGE_BATCH_MESSAGES": "100",
        "BRIDGE_BATCHES_IN_FLIGHT": "2",
        "NATS_ACK_WAIT_SECONDS": "30",
        "SINK_TIMEOUT_SECONDS": "10",
    }
    with bridge(server, sink, tmp_path, **slow) as process:
        publish(server, messages)
        sink.wait_for(lambda: len(sink.received) == 2)
        assert process.stop() == 0
        finished = len(sink.taken)
        assert finished == len(sink.received), "nothing new was sent"
        # The server counts what was given back as unsettled until it is delivered again: at once, not after 30 seconds.
        sink.delay_s = 0.0
        process.start()
        wait_taken(sink, messages)
        wait_settled(server)
    assert sink.counted() == dict.fromkeys(messages, 1)


def test_a_stop_while_the_sink_fails_gives_everything_back_at_once(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    messages = trades(300)
    sink.status = 503
    with bridge(server, sink, tmp_path, NATS_ACK_WAIT_SECONDS="30") as process:
        publish(server, messages)
        process.wait_until(lambda: len(sink.received) >= 2)
        started = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - started < FINISH_S
        sink.status = 202
        process.start()
        wait_taken(sink, messages)
        wait_settled(server)
    assert sink.counted() == dict.fromkeys(messages, 1)


def test_a_stop_does_not_wait_for_a_sink_that_hangs(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    sink.is_hanging = True
    with bridge(server, sink, tmp_path, SINK_TIMEOUT_SECONDS=str(SINK_TIMEOUT_S)) as process:
        publish(server, trades(100))
        sink.wait_for(lambda: bool(sink.received))
        started = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - started < SINK_TIMEOUT_S
        sink.is_hanging = False
        process.start()
        wait_taken(sink, trades(100))


def _stream_exists(server: NatsServer) -> bool:
    async def names(js: JetStreamContext) -> set[str]:
        return {str(info.config.name) for info in await js.streams_info()}

    return STREAM in on(server, names)
