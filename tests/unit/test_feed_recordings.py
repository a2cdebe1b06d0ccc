"""Replaying recorded WebSocket messages in every form in which they are kept."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.feeds import ingested, lines, read_recording, write_recording
from triggers.feeds.envelope import encode
from triggers.feeds.recordings.files import Choice, RecordedFile

TRADE = {
    "e": "trade", "E": 1723161256313, "T": 1723161256310, "s": "BTCUSDT", "t": 5, "p": "61800.20", "q": "2.507",
    "X": "MARKET", "m": True,
}  # fmt: skip
COMBINED = {"stream": "btcusdt@trade", "data": TRADE}
RECEIVED_NS = 1_723_161_255_030_314_667
START_MS = 1_723_161_256_000


def snapshot(last_id: int) -> dict[str, Any]:
    return {"lastUpdateId": last_id, "bids": [["10.0", "1.0"], ["9.0", "2.0"]], "asks": [["11.0", "1.0"]]}


def difference(first: int, last: int, previous: int | None, time_ms: int, **changes: Any) -> dict[str, Any]:
    sides = {"b": [], "a": []} | changes
    joined = {} if previous is None else {"pu": previous, "T": time_ms - 5}
    return {"e": "depthUpdate", "E": time_ms, "s": "BTCUSDT", "U": first, "u": last, **joined, **sides}


def from_rest(body: dict[str, Any]) -> dict[str, Any]:
    return {"src": "rest", "symbol": "BTCUSDT", "msg": body}


def from_stream(event: dict[str, Any], stream: str = "btcusdt@depth@100ms") -> dict[str, Any]:
    return {"src": "ws", "msg": {"stream": stream, "data": event}}


@pytest.mark.parametrize(
    ("line", "time_us"),
    [
        ({"recv_ns": RECEIVED_NS, "src": "ws", "msg": COMBINED}, RECEIVED_NS // 1000),
        ({"recv_s": 1723161255.030314, "src": "ws", "msg": COMBINED}, RECEIVED_NS // 1000),
        ({"src": "ws", "msg": TRADE}, 1723161256313000),
        (COMBINED, 1723161256313000),
        (TRADE, 1723161256313000),
        ([TRADE], 1723161256313000),
        ({"src": "ws", "msg": [TRADE]}, 1723161256313000),
        ({"stream": "!trade@arr", "data": [TRADE]}, 1723161256313000),
        (
            COMBINED | {"timestamp": "2024-08-08T23:54:15.030314Z", "message_id": "x", "source": "binance-websocket"},
            RECEIVED_NS // 1000,
        ),
    ],
)
def test_every_form_of_a_line_gives_the_event_untouched(tmp_path: Path, line: Any, time_us: int) -> None:
    path = write_recording(tmp_path / "live.ndjson.gz", lines([line]))
    (event,) = RecordedFile(path, Choice("um")).events()
    assert event.time_us == time_us
    assert (event.kind, event.stream) == ("trade", "btcusdt@trade")
    assert event.data == json.dumps(TRADE, separators=(",", ":")).encode()


def test_odd_spacing_and_escapes_inside_an_event_stay(tmp_path: Path) -> None:
    raw = rb'{"e" : "trade", "s":"BTCUSDT","T":1723161256310,  "p":"1.10","note":"\u00fc"}'
    path = write_recording(tmp_path / "live.ndjson", b'{"src":"ws","msg":{"stream":"x@trade","data": ' + raw + b" }}\n")
    (event,) = RecordedFile(path, Choice("um")).events()
    assert event.data == raw


def test_what_the_producer_drops_is_counted_and_broken_lines_are_named(tmp_path: Path) -> None:
    spot_quote = {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}
    text = lines([TRADE, {"result": None, "id": 1}, spot_quote]) + "{oops\n[1]\n\n" + lines([TRADE])
    events, report = read_recording(write_recording(tmp_path / "live.ndjson", text))
    assert events == [TRADE, TRADE]
    assert report.skipped == {"no event name (e): the producer drops these": 2, "broken": 2}
    assert [line.partition(":")[0] for line in report.named_lines] == ["line 4", "line 5"]
    assert report.failure is None


@pytest.mark.parametrize("futures", [True, False])
def test_differences_and_a_snapshot_become_top_20_books(tmp_path: Path, futures: bool) -> None:
    def diff(first: int, last: int, time_ms: int, **changes: Any) -> dict[str, Any]:
        return from_stream(difference(first, last, first - 1 if futures else None, time_ms, **changes))

    recording = [
        diff(90, 95, START_MS, b=[["10.0", "7.0"]]),
        diff(96, 105, START_MS + 100, b=[["10.0", "3.50"]]),
        from_rest(snapshot(100)),
        diff(106, 106, START_MS + 150, a=[["10.5", "0.1"]]),
        diff(107, 107, START_MS + 200, a=[["11.0", "0.0"]]),
        diff(108, 108, START_MS + 299),
        diff(109, 109, START_MS + 301, b=[["9.0", "0"]]),
    ]
    path = write_recording(tmp_path / "live.ndjson", lines(recording))
    events, report = read_recording(path, deployment="um" if futures else "spot")
    assert [(event["u"], event["E"] - START_MS) for event in events] == [(105, 100), (107, 200), (109, 301)]
    assert [event["b"] for event in events] == [[["10.0", "3.50"], ["9.0", "2.0"]]] * 2 + [[["10.0", "3.50"]]]
    assert [event["a"] for event in events] == [[["11.0", "1.0"]], [["10.5", "0.1"]], [["10.5", "0.1"]]]
    assert [event.get("pu") for event in events] == ([95, 106, 108] if futures else [None] * 3)
    assert (report.failure, report.notes, report.skipped.total()) == (None, [], 0)


def test_a_break_in_the_sequence_is_reported_and_the_next_snapshot_mends_it(tmp_path: Path) -> None:
    recording = [
        from_rest(snapshot(100)),
        from_stream(difference(99, 101, 98, START_MS)),
        from_stream(difference(150, 151, 149, START_MS + 200)),
        from_stream(difference(152, 153, 151, START_MS + 400)),
        from_rest(snapshot(152)),
        from_stream(difference(154, 155, 153, START_MS + 600)),
    ]
    events, report = read_recording(write_recording(tmp_path / "live.ndjson", lines(recording)))
    assert [event["u"] for event in events] == [101, 153, 155]
    assert "line 3: the depth differences of BTCUSDT do not join at update 150" in report.notes[0]
    assert "line 5: the book of BTCUSDT begins anew" in report.notes[1]


def test_differences_without_a_snapshot_give_nothing_and_the_report_says_so(tmp_path: Path) -> None:
    recording = [TRADE, *(from_stream(difference(i, i, i - 1, START_MS + i * 100)) for i in range(1, 5))]
    events, report = read_recording(write_recording(tmp_path / "live.ndjson", lines(recording)))
    assert events == [TRADE]
    assert report.skipped == {"depth differences without a snapshot": 4}
    assert "BTCUSDT: 4 depth differences without a snapshot" in report.notes[0]


def test_partial_books_pass_through(tmp_path: Path) -> None:
    full = [[f"{100 - i}.0", "1.0"] for i in range(5)], [[f"{101 + i}.0", "1.0"] for i in range(5)]
    book = difference(1, 5, 0, START_MS, b=full[0], a=full[1])
    spot_book = {"lastUpdateId": 7, "bids": full[0], "asks": full[1]}
    for line in (from_stream(book, "btcusdt@depth5@100ms"), {"stream": "btcusdt@depth20@100ms", "data": book}, book):
        events, report = read_recording(write_recording(tmp_path / "um.ndjson", lines([line])))
        assert (events, report.failure) == ([book], None)
    line = {"recv_s": 1.7e9, "src": "ws", "msg": {"stream": "btcusdt@depth5", "data": spot_book}}
    path = write_recording(tmp_path / "spot.ndjson", lines([line]))
    (event,) = RecordedFile(path, Choice("spot")).events()
    assert (event.stream, json.loads(event.data)) == ("btcusdt@depth20@100ms", spot_book)


@pytest.mark.parametrize(
    ("line", "market"),
    [
        (from_stream(difference(1, 2, None, START_MS)), "spot"),
        (from_stream(difference(1, 2, 0, START_MS)), "um"),
        (TRADE | {"M": True}, "spot"),
        (TRADE, "um"),
        ({"e": "markPriceUpdate", "E": START_MS, "s": "BTCUSDT", "p": "1"}, "um"),
        ({"src": "rest", "url": "https://api.binance.com/api/v3/depth?symbol=BTCUSDT", "msg": snapshot(1)}, "spot"),
        ({"src": "rest", "url": "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT", "msg": snapshot(1)}, "um"),
    ],
)
def test_the_market_is_seen_in_the_events(tmp_path: Path, line: Any, market: str) -> None:
    path = write_recording(tmp_path / "live.ndjson", lines([line, TRADE]))
    other: Any = "um" if market == "spot" else "spot"
    assert f"of the market {market}, this deployment serves {other}" in str(
        read_recording(path, deployment=other)[1].failure
    )
    assert "of the market" not in str(read_recording(path, deployment=other, market=other)[1].failure)


@pytest.mark.recorded
def test_the_recorded_hour_gives_each_trade_once_and_everything_is_storable(recorded_data: Path) -> None:
    path = recorded_data / "ws" / "um_live_BTCUSDT_20240808T2354.ndjson.gz"
    messages = list(RecordedFile(path, Choice("um")).events())
    with gzip.open(path) as text:
        recorded = [line for line in text if b'"e":"trade"' in line]
    trades = [message for message in messages if message.kind == "trade"]
    assert len(trades) == len(recorded) == 21_313
    assert all(trade.data in line for trade, line in zip(trades, recorded, strict=True))
    payloads = [encode(m.stream, m.data, m.time_us)[0] for m in messages if m.kind in {"trade", "depthUpdate"}]
    rows, dead = ingested(payloads, START_MS + 3_600_000)
    assert not dead
    assert len(rows) == len(payloads)
    ids = [encode(m.stream, m.data, m.time_us)[1] for m in messages]
    assert max(Counter(ids).values()) == 1


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("name", "messages", "skipped"),
    [
        ("um_live_BTCUSDT_20240808T2354", {"bookTicker": 66_089, "trade": 21_313, "depthUpdate": 3_276}, 0),
        ("spot_live_BTCUSDT_20240808T2354", {"trade": 19_904, "depthUpdate": 6_487}, 73_174),
        ("spot_depth_ETHBTC_20201101T09", {"depthUpdate": 3_599}, 0),
        ("um_live_4symbols_20210722T2225", {"bookTicker": 613, "depthUpdate": 752, "kline": 67, "aggTrade": 91}, 0),
        ("spot_live_4symbols_20211012T0028", {"depthUpdate": 169, "aggTrade": 2, "kline": 2}, 84),
        ("spot_kline5m_stream_BTCUSDT_20210914", {"kline": 49}, 0),
    ],
)
def test_recordings_are_read_whole(recorded_data: Path, name: str, messages: dict[str, int], skipped: int) -> None:
    path = recorded_data / "ws" / f"{name}.ndjson.gz"
    _, report = read_recording(path, deployment="um" if name.startswith("um") else "spot")
    assert dict(report.messages) == messages
    assert report.skipped.total() == skipped
    assert (report.failure, report.notes) == (None, [])
