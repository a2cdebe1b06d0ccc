"""Rejected messages on their way from the bridge to the store: nothing of a dead letter is lost or changed."""

import base64
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MalformedEvent
from common.models.dead_letters import EXCERPT_BYTES, DeadLetter, Reason, dead_letter
from common.wire.classify import classify
from common.wire.rejected import decode_rejected, encode_rejected
from tests.support.messages import NOW_MS
from triggers.nats_bridge.rejection import letter_of, too_large

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
_LETTERS = st.builds(
    DeadLetter,
    dead_letter_id=_TEXT,
    time_ms=st.integers(0, 2**53),
    kind=_TEXT,
    reason=st.sampled_from(Reason),
    field=st.none() | _TEXT,
    detail=_TEXT,
    symbol=st.none() | _TEXT,
    origin=_TEXT,
    excerpt=_TEXT,
    event_id=st.none() | _TEXT,
    size_bytes=st.integers(0, 2**40),
    attributes=st.none() | _TEXT,
    payload=st.none() | st.binary(max_size=60),
    destination=st.none() | _TEXT,
)


@dataclass(frozen=True)
class _StoppedClock:
    def now_ms(self) -> int:
        return NOW_MS


@given(_LETTERS)
def test_a_letter_comes_back_as_it_was(letter: DeadLetter) -> None:
    read = decode_rejected(encode_rejected(letter))
    assert read == letter
    assert isinstance(read.reason, Reason)


@given(_LETTERS)
def test_a_letter_is_one_line_of_json(letter: DeadLetter) -> None:
    line = encode_rejected(letter)
    assert b"\n" not in line
    assert b"\r" not in line
    payload = None if letter.payload is None else base64.b64encode(letter.payload).decode()
    assert json.loads(line) == {**letter._asdict(), "payload": payload}


@given(st.binary(max_size=2 * EXCERPT_BYTES))
def test_any_payload_can_be_told_of(payload: bytes) -> None:
    letter = dead_letter(payload, time_ms=1, kind="trade", reason=Reason.NOT_JSON, detail="x", origin="bridge")
    assert decode_rejected(encode_rejected(letter)) == letter


def test_a_field_that_came_later_is_ignored() -> None:
    letter = dead_letter(b"{", time_ms=1, kind="trade", reason=Reason.NOT_JSON, detail="x", origin="bridge")
    newer = json.dumps({**json.loads(encode_rejected(letter)), "novelty": [1, 2]}).encode()
    assert decode_rejected(newer) == letter


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"dead_letter_id": "\xff"}',
        b'{"dead_letter_id": 5}',
    ],
)
def test_what_is_no_letter_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedEvent, match="not a rejected message"):
        decode_rejected(line)


@pytest.mark.parametrize("change", [{"reason": "novelty"}, {"time_ms": "yesterday"}, {"size_bytes": None}])
def test_a_wrong_value_is_malformed(change: dict[str, object]) -> None:
    letter = dead_letter(b"{", time_ms=1, kind="trade", reason=Reason.NOT_JSON, detail="x", origin="bridge")
    with pytest.raises(MalformedEvent):
        decode_rejected(json.dumps({**json.loads(encode_rejected(letter)), **change}).encode())


def test_the_bridge_tells_why_a_message_is_none() -> None:
    raw = b'{"data": {"s": "BTCUSDT"'
    letter = letter_of(raw, classify(raw), _StoppedClock())
    assert (letter.reason, letter.origin, letter.time_ms) == (Reason.NOT_JSON, "bridge", NOW_MS)
    assert (letter.excerpt, letter.size_bytes) == (raw.decode(), len(raw))
    assert letter.detail


def test_a_message_whose_kind_is_known_can_be_delivered_once_more() -> None:
    raw = b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"../x"}}'
    letter = letter_of(raw, classify(raw), _StoppedClock())
    assert letter.kind == "trade"
    assert letter.payload == raw
    assert json.loads(letter.attributes or "") == {
        "specversion": "1.0",
        "type": "io.petrosa.market.trade.v1",
        "source": "/triggers/nats_bridge",
        "datacontenttype": "application/x-ndjson",
    }


def test_a_redelivery_is_the_same_letter() -> None:
    raw = b"not json"
    ids = {letter_of(raw, classify(raw), _StoppedClock()).dead_letter_id for _ in range(2)}
    assert len(ids) == 1


def test_a_message_above_the_limit_tells_both_lengths() -> None:
    raw = b"x" * 2000
    letter = letter_of(raw, too_large(raw, 1500), _StoppedClock())
    assert letter.reason is Reason.TOO_LARGE
    assert "1500" in letter.detail
    assert "2000" in letter.detail
    assert len(letter.excerpt) < len(raw) == letter.size_bytes
