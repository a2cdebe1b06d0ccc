"""Recorded data through the whole system: counts and digits as in the files."""

import csv
import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest

from common.models.families import Family
from tests.support.system import running_system
from tests.support.traffic import finish, replay, stored_rows, wait_stored

pytestmark = [pytest.mark.recorded]

TRADES = 21_313


def test_a_recorded_session_is_stored_exactly_once(
    tmp_path: Path, recorded_data: Path, stores: Mapping[str, str]
) -> None:
    file = recorded_data / "ws" / "um_live_BTCUSDT_20240808T2354.ndjson.gz"
    with running_system(tmp_path / "state", environment=stores) as system:
        finish(replay(system, file))
        wait_stored(system, Family.TRADES, TRADES)
        books = stored_rows(system, Family.DEPTH)
        assert books > 1000
        finish(replay(system, file))
        system.wait(lambda: 'event_type="trade"' in system.get("/metrics").text)
        assert stored_rows(system, Family.TRADES) == TRADES
        assert stored_rows(system, Family.DEPTH) == books
        depth = system.get("/data/depth?pair=BTCUSDT").json()["data"]
        assert float(depth["bids"][0]["price"]) < float(depth["asks"][0]["price"])
        assert system.get("/health/dead-letters").json()["pagination"]["total"] == 0


def test_recorded_candles_come_back_digit_for_digit(
    tmp_path: Path, recorded_data: Path, stores: Mapping[str, str]
) -> None:
    files = sorted((recorded_data / "klines").glob("um_1h_*.csv.gz"))
    assert len(files) == 5
    expected = {file.name.split("_")[2]: _rows(file) for file in files}
    with running_system(tmp_path / "state", environment=stores) as system:
        finish(replay(system, *files))
        wait_stored(system, Family.CANDLES, sum(map(len, expected.values())))
        for pair, rows in expected.items():
            served = []
            for offset in range(0, len(rows), 1000):
                path = f"/data/candles?pair={pair}&period=1h&start=2025-01-01&limit=1000&offset={offset}"
                served += system.get(path).json()["values"]
            got = [
                tuple(item[name] for name in ("open", "high", "low", "close", "volume", "quote_volume"))
                for item in served
            ]
            assert got == [row[1:7] for row in rows]
            assert [item["trades_count"] for item in served] == [row[7] for row in rows]


def _rows(file: Path) -> list[tuple[object, ...]]:
    names = ("open_time", "open", "high", "low", "close", "volume", "quote_volume")
    with gzip.open(file, "rt") as text:
        return [(*(row[name] for name in names), int(row["count"])) for row in csv.DictReader(text)]
