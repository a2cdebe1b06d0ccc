"""Documents of rows: written byte by byte, read by the driver, which is the judge."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from common.models.families import Family
from common.models.rows import MarketRow, Origin
from common.storage.mongodb.documents import SHAPES, dead_letter_document, dead_letter_of, stored_at, version
from tests.support.store_rows import (
    HOUR_MS,
    SAMPLES,
    START_MS,
    agg_trade,
    book,
    candle,
    funding,
    letter,
    mark,
    ticker,
    trade,
)

CODECS: CodecOptions[Mapping[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
START = datetime.fromtimestamp(START_MS / 1000, UTC).replace(tzinfo=None)


def written(family: Family, row: MarketRow, tail: bytes = b"") -> dict[str, Any]:
    """Return a row's document as any reader of the database sees it."""
    return bson.decode(SHAPES[family].write(row, tail))


@pytest.mark.parametrize("family", list(Family))
def test_rows_come_back(family: Family) -> None:
    shape = SHAPES[family]
    for row in SAMPLES[family]:
        octets = shape.write(row, stored_at(START_MS) + version(3))
        assert shape.row(bson.decode(octets, CODECS)) == row
        assert bson.encode(bson.decode(octets, CODECS)) == octets  # the driver would have written the same bytes


def test_a_trade_is_stored_as_the_storage_page_says() -> None:
    row = trade(7, time_ms=START_MS)._replace(quantity="0.250")
    assert written(Family.TRADES, row, stored_at(START_MS)) == {
        "_id": "BTCUSDT_7",
        "symbol": "BTCUSDT",
        "timestamp": START,
        "trade_id": Int64(7),
        "price": Decimal128("64302.10"),
        "quantity": Decimal128("0.250"),
        "quote_quantity": Decimal128("16075.52500"),
        "is_buyer_maker": False,
        "side": "buy",
        "stored_at": START,
    }
    assert written(Family.TRADES, trade(8))["side"] == "sell"


def test_a_candle_is_stored_as_the_storage_page_says() -> None:
    document = written(Family.CANDLES, candle(origin=Origin.REST), version(2))
    assert list(document)[:12] == [
        "_id",
        "symbol",
        "timestamp",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "trades_count",
        "taker_buy_volume",
        "taker_buy_quote_volume",
    ]
    assert document["_id"] == f"BTCUSDT_{START_MS}"
    assert document["quote_volume"] == Decimal128("264501233.114000")
    assert document["taker_buy_quote_volume"] is None
    assert (document["timeframe"], document["is_closed"], document["origin"], document["version"]) == ("1h", True, 2, 2)


def test_a_book_is_stored_as_levels() -> None:
    document = written(Family.DEPTH, book(9, time_ms=START_MS))
    assert document["_id"] == "BTCUSDT_9"
    assert document["bids"] == [
        {"price": Decimal128("64302.10"), "quantity": Decimal128("0.500")},
        {"price": Decimal128("64302.00"), "quantity": Decimal128("1.000")},
    ]
    assert document["asks"] == [{"price": Decimal128("64302.20"), "quantity": Decimal128("0.00100000")}]
    assert written(Family.DEPTH, book(9)._replace(bids="[]"))["bids"] == []


def test_ids_are_those_of_the_storage_page() -> None:
    assert written(Family.AGG_TRADES, agg_trade(5))["_id"] == "BTCUSDT_5"
    assert written(Family.TICKERS, ticker(1))["_id"] == f"BTCUSDT_{START_MS + 1}"
    assert written(Family.MARK_PRICES, mark(2))["_id"] == f"BTCUSDT_{START_MS + 2}"
    assert written(Family.FUNDING_RATES, funding(time_ms=START_MS + HOUR_MS))["_id"] == f"BTCUSDT_{START_MS + HOUR_MS}"


def test_dead_letters_come_back() -> None:
    one = letter(1)
    stored = bson.decode(bson.encode(dead_letter_document(one, START_MS)), CODECS)
    assert dead_letter_of(stored) == one
    assert stored["_id"] == one.dead_letter_id


# What the original system wrote: doubles, whole numbers or texts, no ids of ours, and fields that it never filled.
HEAD = {"symbol": "BTCUSDT", "timestamp": START}
ORIGINAL_TRADE = {"trade_id": 5, "price": 64302.1, "quantity": "0.10", "side": "sell", "is_buyer_maker": True}
ORIGINAL_PRICES = {"open": 1, "high": 2.5, "low": "0.50", "close": 2.0, "volume": 10.0}
ORIGINAL_CANDLE = {**ORIGINAL_PRICES, "quote_volume": None, "trades_count": None, "timeframe": "1h"}
ORIGINAL_BOOK = {"bids": [{"price": 1.5, "quantity": 2}], "asks": [], "last_update_id": None}
ORIGINAL_FUNDING = {"funding_rate": 0.0001, "mark_price": None, "next_funding_time": None}
ORIGINAL_TICKER = {**dict.fromkeys(ticker(0)._fields[2:10], 1.25), "trades_count": 3.0}
NOTHING = (None, None, None, None)
ORIGINAL: dict[Family, tuple[dict[str, Any], tuple[Any, ...]]] = {
    Family.TRADES: (ORIGINAL_TRADE, (START_MS, 5, "64302.1", "0.10", True)),
    Family.CANDLES: (
        ORIGINAL_CANDLE,
        ("1h", START_MS, "1", "2.5", "0.50", "2", "10", *NOTHING, True, START_MS, Origin.STREAM, 0),
    ),
    Family.DEPTH: (ORIGINAL_BOOK, (START_MS, 0, '[["1.5","2"]]', "[]")),
    Family.FUNDING_RATES: (ORIGINAL_FUNDING, (START_MS, "0.0001", None, None, START_MS, Origin.STREAM)),
    Family.TICKERS: (ORIGINAL_TICKER, (START_MS, *["1.25"] * 8, 3)),
}


@pytest.mark.parametrize("family", list(ORIGINAL))
def test_documents_of_the_original_system_are_read(family: Family) -> None:
    document, expected = ORIGINAL[family]
    stored = bson.decode(bson.encode(HEAD | document), CODECS)
    assert tuple(SHAPES[family].row(stored)) == ("BTCUSDT", *expected)
