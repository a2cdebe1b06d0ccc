"""What the bridge makes of the messages in the stream: events at the sink, dead letters, answers to the server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from common.models.dead_letters import Reason
from common.wire.rejected import decode_rejected
from tests.support.bridge import (
    CONSUMER,
    DEAD_LETTERS,
    STREAM,
    SUBJECT,
    bridge,
    consumer_info,
    dead_letters,
    on,
    publish,
    wait_settled,
)
from tests.support.messages import EXAMPLES, envelope, message
from tests.support.nats import MAX_PAYLOAD_BYTES, NatsServer, nats_server
from tests.support.sink import HttpSink, http_sink

KINDS = tuple(EXAMPLES)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


def trades(count: int, *, start: int = 0, **changes: Any) -> list[bytes]:
    return [message("trade", t=number, **changes) for number in range(start, start + count)]


def mixed(count: int) -> list[bytes]:
    return [message(KINDS[number % len(KINDS)], E=1760963600000 + number) for number in range(count)]


def test_every_message_arrives_once_as_it_was_published(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = mixed(3000)
    with bridge(server, sink, tmp_path) as process:
        publish(server, messages)
        sink.wait_for(lambda: len(sink.lines()) == len(messages))
        wait_settled(server)
        assert sorted(sink.lines()) == sorted(messages)
        for number, kind in enumerate(KINDS):
            assert sorted(sink.lines(kind)) == sorted(messages[number :: len(KINDS)])
        received = process.metric("data_manager_messages_received_total")
        assert received == process.metric("petrosa_bridge_messages_delivered_total") == len(messages)
        assert process.metric("data_manager_nats_connection_status") == 1


def test_an_event_says_what_it_holds(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    with bridge(server, sink, tmp_path, K_CE_OVERRIDES='{"extensions": {"cluster": "north west"}}'):
        publish(server, [*trades(30), *trades(20, start=30, s="ETHUSDT"), *(message("ticker"),) * 10])
        sink.wait_for(lambda: len(sink.lines()) == 60)
    by_type = {event.type: event for event in sink.taken}
    assert all(event.source == "/triggers/nats_bridge" for event in sink.taken)
    assert all(event.datacontenttype == "application/x-ndjson" for event in sink.taken)
    assert all(event.extension("count") == str(event.data.count(b"\n") + 1) for event in sink.taken)
    assert all(event.extension("cluster") == "north west" for event in sink.taken)
    assert by_type["io.petrosa.market.ticker.v1"].subject == "BTCUSDT"
    assert len({event.id for event in sink.taken}) == len(sink.taken)
    for event in sink.taken:
        version, trace, span, flags = str(event.extension("traceparent")).split("-")
        assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")


def test_a_batch_of_several_symbols_has_no_subject(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    publish_first(server, [*trades(5), *trades(5, start=5, s="ETHUSDT")])
    with bridge(server, sink, tmp_path, BRIDGE_BATCH_MS="500"):
        sink.wait_for(lambda: len(sink.lines()) == 10)
    (event,) = sink.taken
    assert event.subject is None


def test_messages_of_a_kind_keep_their_order(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = mixed(2100)
    with bridge(server, sink, tmp_path, BRIDGE_BATCH_MESSAGES="50", BRIDGE_BATCHES_IN_FLIGHT="1"):
        publish(server, messages)
        sink.wait_for(lambda: len(sink.lines()) == len(messages))
    for number, kind in enumerate(KINDS):
        assert sink.lines(kind) == messages[number :: len(KINDS)]


def test_batches_stay_within_their_bounds(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    publish_first(server, trades(3000))
    with bridge(server, sink, tmp_path, BRIDGE_BATCH_MESSAGES="100", BRIDGE_BATCH_BYTES="20000"):
        sink.wait_for(lambda: len(sink.lines()) == 3000)
    assert max(len(event.data) for event in sink.taken) <= 20_000
    assert max(int(event.extension("count") or 0) for event in sink.taken) <= 100


def test_line_breaks_inside_a_message_become_blanks(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    plain = trades(2)
    broken = plain[0].replace(b'"data":', b'"data":\r\n\t')
    with bridge(server, sink, tmp_path):
        publish(server, [broken, plain[1]])
        sink.wait_for(lambda: len(sink.lines()) == 2)
    assert set(sink.lines("trade")) == {broken.replace(b"\r\n", b"  "), plain[1]}


def test_headers_of_the_publisher_change_nothing(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    messages = trades(1500)

    async def with_headers(js: JetStreamContext) -> None:
        for number, raw in enumerate(messages):
            headers = {"Nats-Msg-Id": str(number), "Status": "408", "X-Sender": "größe"}
            await js.publish(SUBJECT, raw, headers=headers)

    with bridge(server, sink, tmp_path):
        on(server, with_headers)
        sink.wait_for(lambda: len(sink.lines()) == len(messages))
        wait_settled(server)
    assert sorted(sink.lines()) == sorted(messages)


def test_what_can_never_be_processed_is_kept_with_its_reason(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    good = trades(50)
    bad = {
        Reason.NOT_JSON: b"{",
        Reason.NOT_UTF8: b'{"data": {"e": "\xff"}}',
        Reason.NOT_AN_OBJECT: b"[1, 2]",
        Reason.MISSING_FIELD: b'{"data": {"x": 1}}',
        Reason.TOO_LARGE: message("trade", x="y" * 600_000),
    }
    with bridge(server, sink, tmp_path) as process:
        publish(server, [*good[:25], *bad.values(), b"", *good[25:]])
        sink.wait_for(lambda: len(sink.lines("rejected")) == len(bad) + 1 and len(sink.lines("trade")) == len(good))
        wait_settled(server)
        letters = [decode_rejected(line) for line in sink.lines("rejected")]
        assert {letter.reason for letter in letters} == set(bad)
        assert all(letter.origin == "bridge" for letter in letters)
        assert {letter.size_bytes for letter in letters} == {0, *map(len, bad.values())}
        kept = dead_letters(server)
        assert {(headers["Petrosa-Reason"], raw) for headers, raw in kept} == {
            *((str(reason), raw) for reason, raw in bad.items()),
            (str(Reason.NOT_JSON), b""),
        }
        assert {headers["Petrosa-Subject"] for headers, _ in kept} == {SUBJECT}
        assert {headers["Petrosa-Stream-Sequence"] for headers, _ in kept} == {str(26 + number) for number in range(6)}
        process.wait_until(lambda: process.metric("petrosa_bridge_dead_letters_total") == 6)
        assert process.metric("petrosa_bridge_dead_letters_total", reason="too_large") == 1
        failed = process.metric("data_manager_messages_failed_total", error_type="json_decode")
        assert failed == 3  # the empty one, the half one, the one that is not UTF-8
    assert sorted(sink.lines("trade")) == sorted(good)


def test_a_message_at_the_server_s_size_limit_does_not_stop_the_flow(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    frame = len(message("trade", x=""))
    large = [message("trade", x="y" * (size - frame)) for size in (MAX_PAYLOAD_BYTES, 3_000_000, 1_048_576, 1_048_000)]
    good = trades(2000)
    with bridge(server, sink, tmp_path):
        for number, raw in enumerate(large):
            publish(server, [raw, *good[number * 500 : number * 500 + 500]])
        sink.wait_for(lambda: len(sink.lines("trade")) == len(good) and len(sink.lines("rejected")) == len(large))
        wait_settled(server)
    assert sorted(sink.lines("trade")) == sorted(good)
    kept = {len(raw): headers for headers, raw in dead_letters(server)}
    assert sorted(kept) == [1_048_000, 1_048_576, 3_000_000, MAX_PAYLOAD_BYTES - 2048]
    assert kept[MAX_PAYLOAD_BYTES - 2048]["Petrosa-Truncated-From"] == str(MAX_PAYLOAD_BYTES)


def test_kinds_that_are_not_handled_are_counted_and_acknowledged(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    quotes = [envelope({"e": "bookTicker", "s": "BTCUSDT", "u": number}, "btcusdt@bookTicker") for number in range(20)]
    with bridge(server, sink, tmp_path) as process:
        publish(server, [*quotes, *trades(5)])
        sink.wait_for(lambda: len(sink.lines()) == 5)
        wait_settled(server)
        assert process.metric("petrosa_bridge_messages_ignored_total", kind="bookticker") == 20
        assert process.log.read_text().count("bookticker") == 1


def test_the_message_that_the_sink_refuses_is_found_and_set_aside(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    messages = trades(300)
    poison = {messages[17], messages[18], messages[250]}
    sink.judge = lambda event: 422 if poison & set(event.data.split(b"\n")) else None
    publish_first(server, messages)
    with bridge(server, sink, tmp_path):
        sink.wait_for(lambda: len(sink.lines("rejected")) == len(poison))
        sink.wait_for(lambda: len(sink.lines("trade")) == len(messages) - len(poison))
        wait_settled(server)
    assert set(sink.lines("trade")) == set(messages) - poison
    letters = [decode_rejected(line) for line in sink.lines("rejected")]
    assert {letter.reason for letter in letters} == {Reason.REFUSED}
    assert {letter.kind for letter in letters} == {"trade"}
    assert {letter.symbol for letter in letters} == {"BTCUSDT"}
    assert all("422" in letter.detail for letter in letters)
    assert {raw for _, raw in dead_letters(server)} == poison


def test_a_dead_letter_that_the_sink_refuses_stays_in_the_stream(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    sink.judge = lambda event: 400 if event.type.endswith("rejected.v1") else None
    with bridge(server, sink, tmp_path):
        publish(server, [b"not json", *trades(3), b"neither"])
        sink.wait_for(lambda: len(sink.lines("trade")) == 3)
        wait_settled(server)
    assert {raw for _, raw in dead_letters(server)} == {b"not json", b"neither"}


def test_a_message_is_settled_only_when_its_dead_letter_is_stored_and_sent(
    server: NatsServer, sink: HttpSink, tmp_path: Path
) -> None:
    sink.status = 503
    with bridge(server, sink, tmp_path) as process:
        publish(server, [b"not json"])
        process.wait_until(lambda: len(sink.received) >= 2)
        assert consumer_info(server).num_ack_pending == 1
        sink.status = 202
        sink.wait_for(lambda: len(sink.lines("rejected")) == 1)
        wait_settled(server)
        assert len(dead_letters(server)) == 1


def test_streams_and_consumer_are_made_with_their_limits(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    with bridge(server, sink, tmp_path, NATS_STREAM_MAX_AGE="2h", NATS_STREAM_MAX_BYTES="10000000"):
        stream = on(server, lambda js: js.stream_info(STREAM)).config
        letters = on(server, lambda js: js.stream_info(DEAD_LETTERS)).config
        consumer = consumer_info(server).config
    assert (stream.subjects, stream.max_age, stream.max_bytes) == ([SUBJECT], 7200, 10_000_000)
    assert str(stream.discard) == "old"
    assert letters.subjects == ["petrosa.dead-letters"]
    assert (consumer.ack_wait, consumer.max_deliver) == (5, -1)
    assert str(consumer.ack_policy) == "explicit"


def test_an_existing_stream_and_consumer_get_the_settings(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    with bridge(server, sink, tmp_path, NATS_STREAM_MAX_AGE="2h"):
        publish(server, trades(10))
        sink.wait_for(lambda: len(sink.lines()) == 10)
        wait_settled(server)
    with bridge(server, sink, tmp_path, NATS_STREAM_MAX_AGE="3h", NATS_ACK_WAIT_SECONDS="2"):
        stream = on(server, lambda js: js.stream_info(STREAM))
        assert (stream.config.max_age, stream.state.messages) == (3 * 3600, 10)
        assert consumer_info(server).config.ack_wait == 2
        publish(server, trades(10, start=10))
        sink.wait_for(lambda: len(sink.lines()) == 20)
    assert sink.counted() == dict.fromkeys(trades(20), 1)


def test_a_consumer_that_cannot_be_used_is_named(server: NatsServer, sink: HttpSink, tmp_path: Path) -> None:
    with bridge(server, sink, tmp_path):
        pass

    async def push_consumer(js: JetStreamContext) -> None:
        await js.delete_consumer(STREAM, CONSUMER)
        await js.add_consumer(STREAM, ConsumerConfig(durable_name=CONSUMER, deliver_subject="somewhere"))

    on(server, push_consumer)
    with bridge(server, None, tmp_path, K_SINK=sink.url) as process:
        process.start(wait_ready=False)
        process.wait_until(lambda: process.get("/readyz")[0] == 503 and bool(process.status()["consumer_error"]))
        assert "NATS_CONSUMER" in process.status()["consumer_error"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("K_SINK", ""),
        ("K_SINK", "localhost:8080"),
        ("NATS_URL", "nats://"),
        ("BRIDGE_BATCH_MS", "soon"),
        ("K_CE_OVERRIDES", "[]"),
        ("PETROSA_CLOCK", "yesterday"),
    ],
)
def test_a_wrong_setting_ends_the_process_and_is_named(name: str, value: str, tmp_path: Path) -> None:
    with nats_server(start=False) as absent, bridge(absent, None, tmp_path, K_SINK="http://127.0.0.1:9/") as process:
        process.set(name, value)
        process.start(wait_ready=False)
        assert process.wait() == 2
        assert name in process.log.read_text()


def publish_first(server: NatsServer, messages: list[bytes]) -> None:
    """Fill the stream before there is a bridge, so that what it finds is a backlog."""

    async def stream(js: JetStreamContext) -> None:
        await js.add_stream(name=STREAM, subjects=[SUBJECT])

    on(server, stream)
    publish(server, messages)
