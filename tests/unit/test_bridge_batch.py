"""Batches of the bridge and the answers about them: no message is changed, and none gets lost in halves."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.models.dead_letters import Reason, dead_letter
from common.wire.rejected import decode_rejected
from triggers.nats_bridge import acks
from triggers.nats_bridge.backoff import REDELIVERY
from triggers.nats_bridge.batch import REJECTED, Batch, event_of


def reply(sequence: int, deliveries: int = 1) -> str:
    """Return a reply subject as the server makes it."""
    return f"$JS.ACK.MARKET.bridge.{deliveries}.{sequence}.{sequence}.1760963760000000000.0"


def filled(kind: str, payloads: list[bytes], deliveries: int = 1) -> Batch:
    batch = Batch(kind, 0.0)
    for sequence, raw in enumerate(payloads, 1):
        batch.add(raw, reply(sequence, deliveries), "BTCUSDT")
    batch.seal()
    return batch


def sealed(kind: str, sequences: list[int], deliveries: int = 1) -> Batch:
    batch = Batch(kind, 0.0)
    for sequence in sequences:
        batch.add(b"{}", reply(sequence, deliveries), None)
    batch.seal()
    return batch


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=20))
def test_the_data_is_the_messages_line_by_line(payloads: list[bytes]) -> None:
    lines = filled("trade", payloads).data().split(b"\n")
    assert lines == [raw.replace(b"\n", b" ").replace(b"\r", b" ") for raw in payloads]


def test_a_pretty_printed_message_keeps_its_meaning() -> None:
    value = {"e": "trade", "text": "a\nb", "list": [1, 2]}
    texts = [json.dumps(value, indent=2).replace("\n", line_end) for line_end in ("\n", "\r\n")]
    batch = filled("trade", [text.encode() for text in texts])
    assert [json.loads(line) for line in batch.data().split(b"\n")] == [value, value]


def test_the_same_batch_is_the_same_event_and_another_is_not() -> None:
    event = event_of(sealed("trade", [1, 2]), 1)
    again = event_of(sealed("trade", [1, 2], deliveries=2), 2)
    assert again.id == event.id
    assert again.extensions == event.extensions
    others = [sealed("trade", [12]), sealed("trade", [1]), sealed("trade", [2, 1]), sealed("depth", [1, 2])]
    assert len({event.id, *(event_of(batch, 1).id for batch in others)}) == 5


def test_sealing_tells_how_many_messages_came_again() -> None:
    batch = Batch("trade", 0.0)
    batch.replies = [reply(1), reply(2, deliveries=2), reply(3, deliveries=17)]
    assert batch.seal() == 2
    assert batch.sequences == ["1", "2", "3"]


@given(count=st.integers(2, 40))
def test_halving_ends_with_every_message_alone(count: int) -> None:
    whole = filled("trade", [b"%d" % number for number in range(count)])
    parts = [whole]
    while any(len(part) > 1 for part in parts):
        parts = [half for part in parts for half in (part.halves() if len(part) > 1 else (part,))]
    assert [raw for part in parts for raw in part.payloads] == whole.payloads
    assert [name for part in parts for name in part.replies] == whole.replies
    assert [number for part in parts for number in part.sequences] == whole.sequences
    assert len({event_of(part, 1).id for part in parts}) == count
    assert {part.number for part in parts} == {whole.number}
    assert {event_of(part, 1).subject for part in parts} == {"BTCUSDT"}


def test_half_of_a_rejected_batch_keeps_letters_and_payloads_together() -> None:
    batch = filled(REJECTED, [b"{%d" % number for number in range(5)])
    for raw in batch.payloads:
        letter = dead_letter(raw, time_ms=1, kind="trade", reason=Reason.NOT_JSON, detail="x", origin="bridge")
        batch.letters.append(letter)
    batch.is_kept = True
    halves = batch.halves()
    assert [len(half) for half in halves] == [2, 3]
    for half in halves:
        assert half.is_kept
        assert len(half.sequences) == len(half)
        letters = [decode_rejected(line) for line in half.data().split(b"\n")]
        assert [letter.excerpt.encode() for letter in letters] == half.payloads
        assert half.event_type == "io.petrosa.market.rejected.v1"


def test_a_message_given_back_waits_by_its_own_deliveries() -> None:
    first, second = acks.given_back([reply(1), reply(2, deliveries=3)], REDELIVERY.delay_s)
    assert (first[0], json.loads(first[1].removeprefix(b"-NAK "))) == ([reply(1)], {"delay": 1_000_000_000})
    assert json.loads(second[1].removeprefix(b"-NAK ")) == {"delay": 4_000_000_000}
    assert acks.given_back([reply(1)], lambda _: 0.0) == [([reply(1)], b"-NAK")]


@pytest.mark.parametrize("prefix", ["$JS.ACK.", "$JS.ACK.hub.ACCHASH."])
def test_sequences_are_read_from_servers_with_and_without_a_domain(prefix: str) -> None:
    tail = "" if prefix == "$JS.ACK." else ".random"
    names = [reply(7).replace("$JS.ACK.", prefix) + tail, reply(9, deliveries=2).replace("$JS.ACK.", prefix) + tail]
    assert acks.sequences(names) == (["7", "9"], 1)
