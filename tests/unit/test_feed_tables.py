"""Replaying CSV files: every layout, every packing, broken rows beside good ones."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from common.models.rows import CandleRow, MarketRow
from tests.support.feeds import ingested, read_recording, write_recording
from triggers.feeds.envelope import encode
from triggers.feeds.recordings.files import Choice, RecordedFile
from triggers.feeds.recordings.names import read_name

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
ROW = (
    "1704067200000,42283.58000000,42488.09,42261.0200,42475.23,1162.19521,1704070799999,49247437.31,46651,600.1,2.50,0"
)
AGG_TRADE_HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
NAME = "BTCUSDT-1h-2024-01"
NOW_MS = 1_800_000_000_000


def rows_of(path: Path) -> list[MarketRow]:
    """Return the rows that ingest makes of a file; none of its messages may become a dead letter."""
    events = RecordedFile(path, Choice("um")).events()
    rows, dead = ingested([encode(event.stream, event.data, event.time_us)[0] for event in events], NOW_MS)
    assert not dead
    return rows


def candle(event: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = event["k"]
    return body


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".zip"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("columns", [12, 9, 6])
@pytest.mark.parametrize("microseconds", [False, True])
def test_candles_of_every_layout(tmp_path: Path, suffix: str, header: bool, columns: int, microseconds: bool) -> None:
    row = ROW.split(",")
    if microseconds:
        row[0], row[6] = row[0] + "000", row[6] + "999"
    text = ",".join(row[:columns]) + "\r\n"
    if header:
        text = ",".join(HEADER.split(",")[:columns]) + "\r\n" + text
    path = write_recording(tmp_path / (NAME + suffix), text)
    events, report = read_recording(path)
    assert (report.failure, report.skipped.total(), report.messages["kline"]) == (None, 0, 1)
    body = candle(events[0])
    assert events[0]["E"] == body["T"] == 1_704_070_799_999
    assert (body["t"], body["i"], body["s"], body["x"]) == (1_704_067_200_000, "1h", "BTCUSDT", True)
    assert [body[key] for key in "ohlcv"] == row[1:6]
    assert (body["q"], body["n"]) == ((row[7], int(row[8])) if columns > 6 else (None, None))
    assert (body["V"], body["Q"]) == ((row[9], row[10]) if columns > 9 else (None, None))
    stored = rows_of(path)
    assert isinstance(stored[0], CandleRow)
    assert stored[0].open == "42283.58000000"
    assert stored[0].is_closed


def test_titles_of_other_programs_in_another_order(tmp_path: Path) -> None:
    text = (
        'Close,"Open time",Open,High,Low,Volume,"Quote asset volume","Number of trades",'
        '"Taker buy base asset volume"\n"4.0","1704067200000","1.0","5.0","0.5","7","28","9","3.5"\n'
    )
    events, report = read_recording(write_recording(tmp_path / "um_1d_BTCUSDT_x.csv", text))
    assert report.failure is None
    body = candle(events[0])
    assert [body[key] for key in ("o", "h", "l", "c", "v", "q", "n", "V", "Q")] == [
        "1.0", "5.0", "0.5", "4.0", "7", "28", 9, "3.5", None,
    ]  # fmt: skip


def test_the_timeframe_is_seen_in_the_rows_when_the_name_does_not_say_it(tmp_path: Path) -> None:
    events, _ = read_recording(write_recording(tmp_path / "prices.csv", ROW), symbol="BTCUSDT")
    assert candle(events[0])["i"] == "1h"
    short = write_recording(tmp_path / "short.csv", ",".join(ROW.split(",")[:6]))
    assert "add --timeframe" in str(read_recording(short, symbol="BTCUSDT")[1].failure)
    assert candle(read_recording(short, symbol="BTCUSDT", timeframe="15m")[0][0])["i"] == "15m"


def test_a_missing_symbol_is_asked_for(tmp_path: Path) -> None:
    events, report = read_recording(write_recording(tmp_path / "prices.csv", ROW))
    assert events == []
    assert "add --symbol" in str(report.failure)


@pytest.mark.parametrize(
    ("text", "market"),
    [
        ("id,price,qty,quote_qty,time,is_buyer_maker\n17,1.50,2.0,3.0,1704067200123,true\n", "um"),
        ("17,1.50,2.0,3.0,1704067200123,true\n", "um"),
        ("id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch\n17,1.50,2.0,3.0,1704067200123,True,True\n", "spot"),
        ("17,1.50,2.0,3.0,1704067200123456,true,true\n", "spot"),
    ],
)
def test_trades_of_every_layout(tmp_path: Path, text: str, market: Any) -> None:
    path = write_recording(tmp_path / "BTCUSDT-trades-2024-01-01.zip", text)
    events, report = read_recording(path, deployment=market)
    assert report.failure is None
    assert events == [
        {
            "e": "trade", "E": 1704067200123, "T": 1704067200123, "s": "BTCUSDT", "t": 17, "p": "1.50", "q": "2.0",
            "m": True,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        AGG_TRADE_HEADER + "9,0.5,100,20,22,1704067200123,false\n",
        "9,0.5,100,20,22,1704067200123,false\n",
        "9,0.5,100,20,22,1704067200123000,False,True\n",
    ],
)
def test_aggregated_trades_of_every_layout(tmp_path: Path, text: str) -> None:
    path = write_recording(tmp_path / "ADAUSDT-aggTrades-2024-01.csv.gz", text)
    events, report = read_recording(path, market="um")
    assert report.failure is None
    assert events == [
        {
            "e": "aggTrade", "E": 1704067200123, "s": "ADAUSDT", "a": 9, "p": "0.5", "q": "100", "f": 20, "l": 22,
            "T": 1704067200123, "m": False,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "mark"),
    [
        ("funding.csv", "symbol,fundingTime,fundingRate\nBTCUSDT,1704067200007,-0.00012359\n", None),
        ("funding.csv", "BTCUSDT,1704067200007,-0.00012359,42000.10\n", "42000.10"),
        (
            "BTCUSDT-fundingRate-2024-01.zip",
            "calc_time,funding_interval_hours,last_funding_rate\n1704067200007,8,-0.00012359\n",
            None,
        ),
        (
            "funding.ndjson",
            '{"symbol":"BTCUSDT","fundingTime":1704067200007,"fundingRate":"-0.00012359","markPrice":"42000.10"}\n',
            "42000.10",
        ),
    ],
)
def test_funding_rates(tmp_path: Path, name: str, text: str, mark: str | None) -> None:
    path = write_recording(tmp_path / name, text)
    events, report = read_recording(path)
    assert report.failure is None
    assert events[0].get("p") == mark
    assert (events[0]["e"], events[0]["E"], events[0]["s"], events[0]["r"]) == (
        "fundingRate", 1704067200007, "BTCUSDT", "-0.00012359",
    )  # fmt: skip
    assert rows_of(path)[0].time_ms == 1_704_067_200_000


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("1704070800000,1,2,0.5,x,7", "close: expected a decimal, was 'x'"),
        ("1704070800000,1,2,0.5,1e3,7", "close: expected a decimal"),
        ("1704070800000,1,2,nan,1,7", "low: expected a decimal"),
        ("1704070800001,1,2,0.5,1,7", "open_time: expected the open time of a 1h candle"),
        ("17,1,2,0.5,1,7", "open_time: expected milliseconds or microseconds"),
        ("yesterday,1,2,0.5,1,7", "open_time: expected milliseconds or microseconds"),
        ("1704070800000,1,2", "expected 6 columns, was 3"),
        ("1704070800000,1,2,0.5,1,\xff", "volume: expected a decimal"),
        ('1704070800000,1,2,"0.5,1', "expected 6 columns, was 5"),
    ],
)
def test_a_broken_row_is_named_and_the_rows_beside_it_are_kept(tmp_path: Path, broken: str, why: str) -> None:
    first, last = 1_704_067_200_000, 1_704_074_400_000
    header = HEADER.partition(",close_time")[0]
    text = "\n".join([header, f"{first},1,2,0.5,1.5,7", broken, "", f"{last},1,2,0.5,1.5,7"])
    events, report = read_recording(write_recording(tmp_path / (NAME + ".csv"), text.encode("latin-1")))
    assert [candle(event)["t"] for event in events] == [first, last]
    assert report.failure is None
    assert report.skipped["broken"] == 1
    assert report.named_lines[0].startswith(f"line 3: {why}")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.csv", b"", "found nothing"),
        ("header.csv", HEADER.encode(), "expected rows, found none"),
        ("widths.csv", b"1,2,3,4\n", "4 columns"),
        ("um_markprice.csv", b"open_time,open,high,low,close\n1,2,3,4,5\n", "the columns are open_time"),
        ("notes.txt", b"hello\n", "the columns are hello"),
        ("pretty.json", b'{\n"a":\n1}\n', "one JSON message a line"),
        ("empty.zip", b"PK\x05\x06" + bytes(18), ""),
        ("damaged.zip", b"PK\x03\x04" + bytes(40), ""),
        ("damaged.csv.gz", gzip.compress((HEADER + "\n" + ROW + "\n").encode())[:-12], "end-of-stream"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    _, report = read_recording(path, symbol="BTCUSDT", timeframe="1h")
    assert report.failure is not None
    assert why in report.failure


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    assert read_recording(tmp_path / "nowhere.csv")[1].failure is not None


@pytest.mark.parametrize(
    ("name", "text", "market"),
    [
        ("spot_1h_BTCUSDT_x.csv", ROW, "spot"),
        ("BTCUSDT-trades-2024.csv", "17,1.50,2.0,3.0,1704067200123,true,true", "spot"),
        ("cm_1h_BTCUSD_x.csv", ROW, "cm"),
    ],
)
def test_a_file_of_another_market_is_refused_with_the_way_out(
    tmp_path: Path, name: str, text: str, market: str
) -> None:
    path = write_recording(tmp_path / name, text)
    events, report = read_recording(path)
    assert events == []
    assert f"of the market {market}, this deployment serves um" in str(report.failure)
    assert f"PETROSA_MARKET={market}" in str(report.failure)
    assert read_recording(path, market="um")[1].failure is None


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("um_1h_BTCUSDT_2025-09_2025-12.csv.gz", ("um", "BTCUSDT", "1h")),
        ("spot_1m_BTCUSDT_2021-04-15_2021-04-30.csv.gz", ("spot", "BTCUSDT", "1m")),
        ("BTCUSDT-1h-2024-01.zip", (None, "BTCUSDT", "1h")),
        ("1000PEPEUSDT-15m-2024-01-02.csv", (None, "1000PEPEUSDT", "15m")),
        ("BTCUSDT_240927-1d-2024-01.csv", (None, "BTCUSDT_240927", "1d")),
        ("spot_trades_BTCUSDT_20260203T0000_0010.csv.gz", ("spot", "BTCUSDT", None)),
        ("um_live_4symbols_20210722T2225.ndjson.gz", ("um", None, None)),
        ("prices.csv", (None, None, None)),
        ("BTCUSDT-ETHUSDT-1h.csv", (None, None, "1h")),
    ],
)
def test_what_names_say(name: str, facts: tuple[str | None, str | None, str | None]) -> None:
    assert read_name(name) == facts


@pytest.mark.recorded
@pytest.mark.parametrize(
    "name", ["um_1h_BTCUSDT_2025-09_2025-12", "um_5m_SOLUSDT_2025-10", "um_1d_ADAUSDT_2024-01_2025-12"]
)
def test_recorded_candles_keep_every_digit(recorded_data: Path, name: str) -> None:
    path = recorded_data / "klines" / f"{name}.csv.gz"
    with gzip.open(path, "rt") as text:
        table = list(csv.DictReader(text))
    events, report = read_recording(path)
    assert len(events) == len(table) == report.messages["kline"]
    for event, row in zip(events, table, strict=True):
        body = candle(event)
        written = [body[key] for key in ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")]
        columns = [row.get(title) for title in HEADER.split(",")[:11]]
        assert [None if value is None else str(value) for value in written] == columns


@pytest.mark.recorded
def test_recorded_trades_of_a_table(recorded_data: Path) -> None:
    path = recorded_data / "trades" / "spot_trades_BTCUSDT_20260203T0000_0010.csv.gz"
    events, report = read_recording(path, deployment="spot")
    assert report.messages == {"trade": 40_003}
    with gzip.open(path, "rt") as text:
        for event, row in zip(events, csv.DictReader(text), strict=True):
            assert (event["p"], event["q"], str(event["t"])) == (row["price"], row["qty"], row["id"])
            assert json.dumps(event["m"]) == row["isBuyerMaker"]
