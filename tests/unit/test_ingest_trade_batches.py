"""A batch of trades proven as a whole gives what its messages give one by one, or leaves the batch to them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import Event, types
from common.models.rows import TradeRow
from common.wire.binance import decoders
from functions.ingest.rows import latest_plausible_ms, trade_row
from functions.ingest.trade_batches import trade_rows
from functions.ingest.writer import BatchReader

NOW_MS = 1_760_961_600_000
LATEST_MS = latest_plausible_ms(NOW_MS)
DECODE, _ = decoders("trade")


def message(**changes: Any) -> bytes:
    """Return one trade; a change to None removes the field."""
    trade = {"e": "trade", "E": NOW_MS, "s": "BTCUSDT", "t": 1, "p": "64120.50", "q": "0.012", "T": NOW_MS, "m": True}
    data = {name: value for name, value in (trade | changes).items() if value is not None}
    return json.dumps({"stream": "btcusdt@trade", "data": data}).encode()


def one_by_one(messages: list[bytes]) -> list[TradeRow]:
    envelopes = [DECODE(raw) for raw in messages]
    return [trade_row(envelope.data, envelope, LATEST_MS) for envelope in envelopes]


prices = st.from_regex(r"[0-9]{1,8}(\.[0-9]{1,8})?", fullmatch=True).filter(lambda text: float(text) > 0)
trades = st.builds(
    lambda number, price, quantity, time_ms, maker, symbol: message(
        t=number, p=price, q=quantity, T=time_ms, m=maker, s=symbol
    ),
    st.integers(0, 2**63 - 1),
    prices,
    prices,
    st.integers(1_483_228_800_000, LATEST_MS),
    st.booleans(),
    st.sampled_from(["BTCUSDT", "ETHUSDT"]),
)


@given(st.lists(trades, min_size=1, max_size=8))
def test_a_sound_batch_gives_the_rows_of_its_messages(messages: list[bytes]) -> None:
    expected = one_by_one(messages)  # which makes the symbols known
    assert trade_rows(messages, DECODE, LATEST_MS) == expected


UNUSUAL = {
    "no price": message(p=None),
    "price of zero": message(p="0.000"),
    "price below zero": message(p="-1"),
    "quantity of zero": message(q="0"),
    "no number": message(p="NaN"),
    "exponent": message(q="1E3"),
    "empty text": message(p=""),
    "separators of two pairs": message(p="1,2;3"),
    "separators of one": message(p="1;2", q="3"),
    "comma": message(q="1,2"),
    "before 2017": message(T=1_483_228_799_999),
    "ahead of the clock": message(T=LATEST_MS + 1),
    "unknown symbol": message(s="NEVERSEENUSDT"),
    "no symbol": message(s=None),
    "no JSON": b"{",
    "empty line": b"",
    "not UTF-8": b'{"data":{"p":"\xff"}}',
    "flat": json.dumps({"e": "trade", "s": "BTCUSDT", "t": 1, "p": "1", "q": "1", "T": NOW_MS, "m": True}).encode(),
    "wrong type": message(t="1"),
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("unusual", UNUSUAL.values(), ids=UNUSUAL)
def test_a_batch_with_anything_unusual_is_left_to_the_single_messages(unusual: bytes, place: int) -> None:
    one_by_one([message()])
    messages = [message(t=1), message(t=2)]
    messages.insert(place, unusual)
    assert trade_rows(messages, DECODE, LATEST_MS) is None


def test_the_good_rows_beside_a_bad_one_are_kept() -> None:
    data = b"\n".join([message(t=1), message(p="x"), message(t=3)])
    batch = BatchReader("trade").read(Event(type=types.market("trade"), source="/test", data=data), NOW_MS)
    assert [row.trade_id for row in batch.rows] == [1, 3]
    assert [letter.field for letter in batch.dead_letters] == ["p"]


def test_an_empty_batch_has_no_rows() -> None:
    batch = BatchReader("trade").read(Event(type=types.market("trade"), source="/test", data=b""), NOW_MS)
    assert (batch.rows, batch.dead_letters) == ([], [])
