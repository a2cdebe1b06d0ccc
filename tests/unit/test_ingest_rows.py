"""From messages to rows: the meaning of each kind, and the reason of everything that is refused."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import Event, types
from common.models.dead_letters import Reason
from common.models.rows import CandleRow, DepthRow, FundingRow, MarkPriceRow, Origin, TickerRow, TradeRow
from common.times import parse_instant
from functions.ingest.writer import Batch, BatchReader
from tests.support.messages import EXAMPLES, NOW_MS, envelope, message


def read(kind: str, *messages: bytes) -> Batch:
    event = Event(type=types.market(kind), source="/test", data=b"\n".join(messages))
    return BatchReader(kind).read(event, NOW_MS)


def row(kind: str, raw: bytes) -> Any:
    batch = read(kind, raw)
    assert batch.dead_letters == []
    return batch.rows[0]


def test_a_trade_is_dated_by_its_trade_time_and_keeps_its_digits() -> None:
    assert row("trade", message("trade")) == TradeRow("BTCUSDT", 1760963696780, 5412887013, "64120.50", "0.012", True)


def test_an_aggregate_keeps_the_range_of_its_trades() -> None:
    stored = row("aggtrade", message("aggtrade"))
    assert stored[2:7] == (2210045781, "3871.42", "1.850", 4410098120, 4410098124)


def test_a_ticker_keeps_signs_and_zeros() -> None:
    stored = row("ticker", message("ticker"))
    assert isinstance(stored, TickerRow)
    assert (stored.price_change, stored.high_price, stored.trades_count) == ("-412.30", "65210.00", 2865999)


def test_a_candle_is_keyed_by_its_open_time_not_by_the_event() -> None:
    stored = row("kline", message("kline"))
    assert isinstance(stored, CandleRow)
    assert (stored.time_ms, stored.timeframe, stored.is_closed) == (1760961600000, "1h", False)
    assert (stored.open, stored.taker_buy_volume, stored.event_time_ms) == ("64302.10", "1988.410", 1760963704022)
    assert stored.origin is Origin.STREAM


def test_a_mark_price_gives_the_funding_rate_of_the_coming_funding_time() -> None:
    batch = read("markprice", message("markprice"))
    assert isinstance(batch.rows[0], MarkPriceRow)
    assert batch.funding() == [
        FundingRow("BTCUSDT", 1760976000000, "0.00007214", "64120.07124113", None, 1760963703000, Origin.STREAM)
    ]


@pytest.mark.parametrize("changes", [{"r": ""}, {"T": 0}, {"r": None}])
def test_a_delivery_contract_has_no_funding(changes: dict[str, Any]) -> None:
    batch = read("markprice", message("markprice", **changes))
    assert len(batch.rows) == 1
    assert batch.funding() == []


def test_a_funding_time_is_rounded_to_the_second() -> None:
    stored = row("funding", message("funding"))
    assert isinstance(stored, FundingRow)
    assert (stored.time_ms, stored.next_funding_time_ms) == (1760947200000, 1760976000000)


def test_an_order_book_is_stored_as_the_text_that_came() -> None:
    stored = row("depth", message("depth"))
    assert isinstance(stored, DepthRow)
    assert stored.last_update_id == 8900112204418
    assert stored.bids == '[["64118.80","3.114"],["64118.70","0.420"],["64118.10","1.005"]]'


def test_an_order_book_loses_empty_levels_and_depth_beyond_twenty_and_is_sorted() -> None:
    bids = [[f"{100 - i}.0", "1"] for i in range(30)]
    asks = [["103", "2"], ["102", "0"], ["101.5", "0.00"], ["101", "1"]]
    stored = row("depth", message("depth", b=list(reversed(bids)), a=asks))
    assert json.loads(stored.bids) == bids[:20]
    assert json.loads(stored.asks) == [["101", "1"], ["103", "2"]]


def test_a_spot_book_is_dated_by_its_envelope_and_named_by_its_stream() -> None:
    book = {"lastUpdateId": 71230044512, "bids": [["64117.99", "0.812"]], "asks": [["64118.00", "0.4"]]}
    stored = row("depth", envelope(book, "ethusdt@depth20@100ms"))
    assert (stored.symbol, stored.time_ms) == ("ETHUSDT", parse_instant("2025-10-20T12:35:02.298Z"))
    assert stored.last_update_id == 71230044512


@pytest.mark.parametrize("kind", list(EXAMPLES))
def test_each_form_of_the_envelope_gives_the_same_row(kind: str) -> None:
    stream, event = EXAMPLES[kind]
    forms = [message(kind), json.dumps({"stream": stream, "data": event}).encode(), json.dumps(event).encode()]
    assert len({row(kind, raw) for raw in forms}) == 1


@pytest.mark.parametrize(
    ("kind", "raw", "reason", "field"),
    [
        ("trade", b"not json", Reason.NOT_JSON, None),
        ("trade", b'{"data":{"e":"trade","x":' + b"[" * 100_000, Reason.TOO_DEEP, None),
        ("trade", message("trade").replace(b"64120.50", b"\xff\xfe"), Reason.NOT_UTF8, None),
        ("trade", message("trade", p=64120.5), Reason.WRONG_TYPE, "data.p"),
        ("trade", message("trade", t="5"), Reason.WRONG_TYPE, "data.t"),
        ("trade", message("trade", drop="t"), Reason.MISSING_FIELD, "data.t"),
        ("trade", message("trade", drop="p"), Reason.MISSING_FIELD, "data.p"),
        ("trade", message("trade", p="-1"), Reason.INVALID_VALUE, "p"),
        ("trade", message("trade", p="0.00"), Reason.INVALID_VALUE, "p"),
        ("trade", message("trade", p="NaN"), Reason.INVALID_VALUE, "p"),
        ("trade", message("trade", p="Infinity"), Reason.INVALID_VALUE, "p"),
        ("trade", message("trade", p="1e5"), Reason.INVALID_VALUE, "p"),
        ("trade", message("trade", p="9" * 400), Reason.INVALID_VALUE, "p"),
        ("trade", message("trade", p="1.2.3"), Reason.INVALID_VALUE, "p"),
        ("trade", message("trade", p="١٢"), Reason.INVALID_VALUE, "p"),
        ("trade", message("trade", q=""), Reason.INVALID_VALUE, "q"),
        ("trade", message("trade", t=-1), Reason.INVALID_VALUE, "data.t"),
        ("trade", message("trade", t=2**70), Reason.INVALID_VALUE, "data.t"),
        ("trade", message("trade", s="../../etc/passwd"), Reason.INVALID_SYMBOL, "s"),
        ("trade", message("trade", s="UNKNOWN"), Reason.INVALID_SYMBOL, "s"),
        ("trade", message("trade", T=NOW_MS + 60_001), Reason.IMPLAUSIBLE_TIME, "T"),
        ("trade", message("trade", T=1_483_228_799_999), Reason.IMPLAUSIBLE_TIME, "T"),
        ("trade", message("trade", T=10**17), Reason.INVALID_VALUE, "data.T"),
        ("kline", message("kline", k__t=1760961600001), Reason.INVALID_VALUE, "k.t"),
        ("kline", message("kline", k__h="-1"), Reason.INVALID_VALUE, "k.h"),
        ("kline", message("kline", drop="k__x"), Reason.MISSING_FIELD, "data.k.x"),
        ("kline", message("kline", k__q="inf"), Reason.INVALID_VALUE, "k.q"),
        ("ticker", message("ticker", P="much"), Reason.INVALID_VALUE, "P"),
        ("ticker", message("ticker", drop="n"), Reason.MISSING_FIELD, "data.n"),
        ("markprice", message("markprice", p="0"), Reason.INVALID_VALUE, "p"),
        ("funding", message("funding", r=""), Reason.INVALID_VALUE, "r"),
        ("depth", message("depth", drop="u"), Reason.MISSING_FIELD, "u"),
        ("depth", message("depth", drop="a"), Reason.MISSING_FIELD, "a"),
        ("depth", message("depth", b="levels"), Reason.INVALID_VALUE, "b"),
        ("depth", message("depth", b=[["1", "-1"]]), Reason.INVALID_VALUE, "b"),
        ("depth", message("depth", b=[["NaN", "1"]]), Reason.INVALID_VALUE, "b"),
        ("depth", message("depth", b=[["1"]]), Reason.INVALID_VALUE, "b"),
        ("depth", message("depth", b=[["1", "2", "3"]]), Reason.INVALID_VALUE, "b"),
        ("depth", message("depth", b=[[1, 2]]), Reason.INVALID_VALUE, "b"),
        ("depth", message("depth", b=[["9" * 400, "1"]]), Reason.INVALID_VALUE, "b"),
        ("depth", message("depth", b=[["0", "1"]]), Reason.INVALID_VALUE, "b"),
    ],
)
def test_bad_messages_become_dead_letters_and_the_good_ones_beside_them_are_kept(
    kind: str, raw: bytes, reason: Reason, field: str | None
) -> None:
    batch = read(kind, message(kind), raw, message(kind))
    assert len(batch.rows) == 2
    [letter] = batch.dead_letters
    assert (letter.reason, letter.field) == (reason, field)
    assert letter.detail
    assert letter.size_bytes == len(raw)
    assert letter.kind == kind
    assert letter.payload == raw


def test_a_dead_letter_delivered_once_more_is_the_message_alone() -> None:
    too_early = message("trade", T=NOW_MS + 120_000)
    event = Event(
        "io.petrosa.market.trade.v1", "/test", "b", "BTCUSDT", NOW_MS, data=too_early, extensions={"count": "1"}
    )
    [letter] = BatchReader("trade").read(event, NOW_MS).dead_letters
    assert letter.reason is Reason.IMPLAUSIBLE_TIME
    attributes = json.loads(letter.attributes or "")
    assert attributes.keys() == {"specversion", "type", "source", "subject", "time"}
    again = Event(attributes["type"], attributes["source"], letter.dead_letter_id, data=letter.payload or b"")
    assert len(BatchReader("trade").read(again, NOW_MS + 120_000).rows) == 1


def test_a_message_without_any_symbol_is_refused() -> None:
    raw = json.dumps({"data": {**EXAMPLES["trade"][1], "s": None}}).encode()
    assert read("trade", raw).dead_letters[0].field == "s"


def test_an_interval_that_is_not_stored_is_counted_not_refused() -> None:
    batch = read("kline", message("kline", k__i="1w"))
    assert (batch.rows, batch.dead_letters, batch.unhandled) == ([], [], {"kline_1w": 1})


def test_the_same_bad_message_is_the_same_dead_letter() -> None:
    first, second = read("trade", b"x", b"x").dead_letters
    assert first.dead_letter_id == second.dead_letter_id
    assert first.dead_letter_id != read("ticker", b"x").dead_letters[0].dead_letter_id


@given(st.lists(st.binary(max_size=120), max_size=8), st.sampled_from(sorted(EXAMPLES)))
def test_no_bytes_stop_a_batch(garbage: list[bytes], kind: str) -> None:
    lines = [line.replace(b"\n", b" ") for line in garbage]
    batch = read(kind, *lines, message(kind))
    assert len(batch.rows) >= 1


@given(st.decimals(min_value="0.000000000000000001", max_value="99999999999999999999", allow_nan=False, places=18))
def test_any_ordinary_decimal_is_kept_digit_for_digit(price: Any) -> None:
    text = f"{price:f}"
    assert row("trade", message("trade", p=text)).price == text


@pytest.mark.recorded
def test_every_recorded_trade_becomes_its_row(recorded_data: Path) -> None:
    raws = []
    with gzip.open(recorded_data / "ws" / "um_live_BTCUSDT_20240808T2354.ndjson.gz") as lines:
        for line in lines:
            record = json.loads(line)
            if record["src"] == "ws" and record["msg"]["data"]["e"] == "trade":
                raws.append(record["msg"]["data"])
    batch = read("trade", *(json.dumps(event).encode() for event in raws))
    assert batch.dead_letters == []
    assert [(r[2], r[3], r[4]) for r in batch.rows] == [(event["t"], event["p"], event["q"]) for event in raws]
