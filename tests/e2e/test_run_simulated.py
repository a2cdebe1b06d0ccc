"""The product as a newcomer starts it: a simulated market from an empty folder, stored, analysed, and gone on with."""

from functools import partial
from pathlib import Path

import pytest

from tests.support.system import System, running_system

PAIRS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT")


def has_values(system: System, path: str) -> bool:
    answer = system.get(path)
    return answer.status_code == 200 and bool(answer.json()["values"])


def has_book(system: System, pair: str) -> bool:
    return system.get(f"/data/depth?pair={pair}").status_code == 200


@pytest.mark.slow
def test_a_newcomer_sees_living_data_within_a_minute_and_again_after_a_stop(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running_system(state, feed="simulate") as system:
        assert system.get("/health/readiness").json()["ready"]
        for pair in PAIRS:
            for path in (
                f"/data/candles?pair={pair}&period=1h",
                f"/data/trades?pair={pair}",
                f"/data/funding?pair={pair}",
                f"/analysis/volatility?pair={pair}&period=1h",
                f"/analysis/volume?pair={pair}&period=1d",
            ):
                system.wait(partial(has_values, system, path), 60, f"{path} has no values")
            system.wait(partial(has_book, system, pair), 60, f"{pair} has no book")
        before = system.get("/data/candles?pair=BTCUSDT&period=1h&limit=3").json()["values"][0]
    with running_system(state, feed="simulate", ready_within_s=10) as system:
        kept = system.get("/data/candles?pair=BTCUSDT&period=1h&limit=1000").json()["values"]
        assert before in kept
