"""Batches of the bridge: one kind each, closed by count, bytes or age, with nothing of a message changed."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import from_http, to_http
from common.models.dead_letters import Reason, dead_letter
from common.settings import Settings
from common.wire.rejected import decode_rejected
from tests.support.messages import NOW_MS
from triggers.nats_bridge import acks
from triggers.nats_bridge.backoff import REDELIVERY
from triggers.nats_bridge.batch import Batch, RejectedBatch, event_of
from triggers.nats_bridge.batching import Batcher
from triggers.nats_bridge.limits import Limits, limits_of


@dataclass
class _Call:
    at_s: float
    run: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class _Scheduler:
    """An event loop's clock that moves when told to."""

    now_s: float = 100.0
    calls: list[_Call] = field(default_factory=list)

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay: float, callback: Callable[..., Any], /, *args: Any) -> _Call:
        call = _Call(self.now_s + delay, lambda: callback(*args))
        self.calls.append(call)
        return call

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        due = [call for call in self.calls if call.at_s <= self.now_s]
        self.calls = [call for call in self.calls if call.at_s > self.now_s]
        for call in due:
            if not call.is_cancelled:
                call.run()


def _limits(messages: int = 1000, size: int = 100_000) -> Limits:
    return replace(limits_of(Settings()), batch_messages=messages, batch_bytes=size, batch_s=0.05)


class _Bench:
    """A batcher with a clock, and what it closed."""

    def __init__(self, **limits: int) -> None:
        self.scheduler = _Scheduler()
        self.closed: list[Batch] = []
        self.batcher = Batcher(_limits(**limits), self.scheduler, self.closed.append)
        self._sequences = itertools.count(1)

    def add(self, kind: str, payload: bytes, symbol: str | None = "BTCUSDT") -> None:
        self.batcher.add(kind, symbol, payload, reply(next(self._sequences)))

    def reject(self, payload: bytes, symbol: str | None = None) -> None:
        letter = dead_letter(
            payload, time_ms=1, kind="trade", reason=Reason.NOT_JSON, detail="x", origin="bridge", symbol=symbol
        )
        self.batcher.reject(letter, payload, reply(next(self._sequences)))


def reply(sequence: int, deliveries: int = 1) -> str:
    """Return a reply subject as the server makes it."""
    return f"$JS.ACK.MARKET.bridge.{deliveries}.{sequence}.{sequence}.1760963760000000000.0"


def _sealed(kind: str, sequences: list[int], deliveries: int = 1) -> Batch:
    batch = Batch(kind, 0.0)
    batch.payloads = [b"{}"] * len(sequences)
    batch.replies = [reply(sequence, deliveries) for sequence in sequences]
    batch.seal()
    return batch


def test_a_batch_closes_when_it_is_full() -> None:
    bench = _Bench(messages=3)
    for number in range(7):
        bench.add("trade", b"%d" % number)
    assert [batch.payloads for batch in bench.closed] == [[b"0", b"1", b"2"], [b"3", b"4", b"5"]]
    assert [len(batch) for batch in bench.batcher.open_batches] == [1]


def test_a_batch_closes_when_its_first_message_is_old() -> None:
    bench = _Bench()
    bench.add("trade", b"1")
    bench.scheduler.advance(0.04)
    bench.add("trade", b"2")
    assert bench.closed == []
    bench.scheduler.advance(0.02)
    assert [batch.payloads for batch in bench.closed] == [[b"1", b"2"]]


def test_the_timer_of_a_full_batch_does_not_close_the_next_one() -> None:
    bench = _Bench(messages=2)
    bench.add("trade", b"1")
    bench.scheduler.advance(0.04)
    bench.add("trade", b"2")
    bench.add("trade", b"3")
    bench.scheduler.advance(0.02)
    assert len(bench.closed) == 1
    bench.scheduler.advance(0.04)
    assert len(bench.closed) == 2


def test_kinds_do_not_mix() -> None:
    bench = _Bench()
    for kind in ("trade", "depth", "trade", "kline"):
        bench.add(kind, kind.encode())
    bench.reject(b"{")
    bench.scheduler.advance(1)
    assert {batch.kind: len(batch) for batch in bench.closed} == {"trade": 2, "depth": 1, "kline": 1, "rejected": 1}


@given(st.lists(st.tuples(st.sampled_from(["trade", "depth"]), st.integers(0, 1024)), max_size=60))
def test_no_batch_is_above_a_limit_and_every_message_is_in_one(sizes: list[tuple[str, int]]) -> None:
    bench = _Bench(messages=7, size=1024)
    sent: dict[str, list[bytes]] = {"trade": [], "depth": []}
    for kind, size in sizes:
        payload = b"x" * size
        sent[kind].append(payload)
        bench.add(kind, payload)
    bench.scheduler.advance(1)
    for batch in bench.closed:
        assert 1 <= len(batch) <= 7
        assert len(batch.data()) <= 1024
    for kind, payloads in sent.items():
        assert [raw for batch in bench.closed if batch.kind == kind for raw in batch.payloads] == payloads


def test_what_is_open_can_be_taken_and_does_not_close_again() -> None:
    bench = _Bench()
    bench.add("trade", b"1")
    bench.reject(b"{")
    assert sorted(batch.kind for batch in bench.batcher.take_open()) == ["rejected", "trade"]
    bench.scheduler.advance(1)
    assert bench.closed == []
    bench.reject(b"}")
    bench.scheduler.advance(1)
    assert [batch.payloads for batch in bench.closed] == [[b"}"]]


def test_rejected_messages_close_by_count_and_by_bytes() -> None:
    bench = _Bench(messages=2, size=1024)
    for payload in (b"1", b"2", b"x" * 2000, b"3"):
        bench.reject(payload)
    assert [len(batch) for batch in bench.closed] == [2, 1]


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=20))
def test_the_data_is_the_messages_line_by_line(payloads: list[bytes]) -> None:
    bench = _Bench()
    for payload in payloads:
        bench.add("trade", payload)
    (batch,) = bench.batcher.take_open()
    lines = batch.data().split(b"\n")
    assert lines == [raw.replace(b"\n", b" ").replace(b"\r", b" ") for raw in payloads]


def test_a_pretty_printed_message_keeps_its_meaning() -> None:
    value = {"e": "trade", "text": "a\nb", "list": [1, 2]}
    batch = Batch("trade", 0.0)
    for sequence, line_end in enumerate(("\n", "\r\n")):
        batch.payloads.append(json.dumps(value, indent=2).replace("\n", line_end).encode())
        batch.replies.append(reply(sequence))
    assert [json.loads(line) for line in batch.data().split(b"\n")] == [value, value]


def test_the_event_tells_kind_symbol_and_count() -> None:
    bench = _Bench()
    bench.add("trade", b"1")
    bench.add("trade", b"2")
    (batch,) = bench.batcher.take_open()
    event = event_of(batch, NOW_MS)
    assert (event.type, event.subject, event.time_ms) == ("io.petrosa.market.trade.v1", "BTCUSDT", NOW_MS)
    assert event.extensions["count"] == "2"
    version, trace, span, flags = event.extensions["traceparent"].split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert int(trace, 16)
    assert int(span, 16)
    assert from_http(*to_http(event)) == event


@pytest.mark.parametrize("symbols", [["BTCUSDT", "ETHUSDT"], ["BTCUSDT", None], [None]])
def test_without_one_symbol_for_all_there_is_no_subject(symbols: list[str | None]) -> None:
    bench = _Bench()
    for symbol in symbols:
        bench.add("trade", b"{}", symbol)
    (batch,) = bench.batcher.take_open()
    assert event_of(batch, NOW_MS).subject is None


def test_the_same_batch_is_the_same_event_and_another_is_not() -> None:
    event = event_of(_sealed("trade", [1, 2]), 1)
    again = event_of(_sealed("trade", [1, 2], deliveries=2), 2)
    assert again.id == event.id
    assert again.extensions == event.extensions
    others = [_sealed("trade", [12]), _sealed("trade", [1]), _sealed("trade", [2, 1]), _sealed("depth", [1, 2])]
    assert len({event.id, *(event_of(batch, 1).id for batch in others)}) == 5


def test_sealing_tells_how_many_messages_came_again() -> None:
    batch = Batch("trade", 0.0)
    batch.replies = [reply(1), reply(2, deliveries=2), reply(3, deliveries=17)]
    assert batch.seal() == 2
    assert batch.sequences == ["1", "2", "3"]


@given(count=st.integers(2, 40))
def test_halving_ends_with_every_message_alone(count: int) -> None:
    bench = _Bench()
    for number in range(count):
        bench.add("trade", b"%d" % number)
    parts = bench.batcher.take_open()
    whole = parts[0]
    whole.seal()
    while any(len(part) > 1 for part in parts):
        parts = [half for part in parts for half in (part.halves() if len(part) > 1 else (part,))]
    assert [raw for part in parts for raw in part.payloads] == whole.payloads
    assert [name for part in parts for name in part.replies] == whole.replies
    assert [number for part in parts for number in part.sequences] == whole.sequences
    assert len({event_of(part, 1).id for part in parts}) == count
    assert {part.number for part in parts} == {whole.number}
    assert {event_of(part, 1).subject for part in parts} == {"BTCUSDT"}


def test_half_of_a_rejected_batch_keeps_letters_and_payloads_together() -> None:
    bench = _Bench()
    for number in range(5):
        bench.reject(b"{%d" % number, symbol=f"A{number}USDT")
    (batch,) = bench.batcher.take_open()
    assert isinstance(batch, RejectedBatch)
    batch.seal()
    batch.is_kept = True
    halves = batch.halves()
    assert [len(half) for half in halves] == [2, 3]
    for half in halves:
        assert isinstance(half, RejectedBatch)
        assert half.is_kept
        assert len(half.sequences) == len(half)
        letters = [decode_rejected(line) for line in half.data().split(b"\n")]
        assert [letter.excerpt.encode() for letter in letters] == half.payloads
        assert half.event_type == "io.petrosa.market.rejected.v1"


def test_answers_are_protocol_text() -> None:
    names = [reply(1), reply(2)]
    assert acks.acknowledged(names) == b"".join(b"PUB %s 0\r\n\r\n" % name.encode() for name in names)
    assert acks.in_progress(names[:1]) == b"PUB %s 4\r\n+WPI\r\n" % names[0].encode()
    assert acks.terminated(names[:1]) == b"PUB %s 5\r\n+TERM\r\n" % names[0].encode()
    for answers in (acks.acknowledged, acks.in_progress, acks.terminated):
        assert answers([]) == b""


def test_a_message_given_back_waits_by_its_own_deliveries() -> None:
    text = acks.given_back([reply(1), reply(2, deliveries=3)], REDELIVERY.delay_s).decode()
    _, first, _, second, _ = text.split("\r\n")
    assert json.loads(first.removeprefix("-NAK ")) == {"delay": 1_000_000_000}
    assert json.loads(second.removeprefix("-NAK ")) == {"delay": 4_000_000_000}
    assert acks.given_back([reply(1)], lambda _: 0.0) == b"PUB %s 4\r\n-NAK\r\n" % reply(1).encode()


@pytest.mark.parametrize("prefix", ["$JS.ACK.", "$JS.ACK.hub.ACCHASH."])
def test_sequences_are_read_from_servers_with_and_without_a_domain(prefix: str) -> None:
    tail = "" if prefix == "$JS.ACK." else ".random"
    names = [reply(7).replace("$JS.ACK.", prefix) + tail, reply(9, deliveries=2).replace("$JS.ACK.", prefix) + tail]
    assert acks.sequences(names) == (["7", "9"], 1)
