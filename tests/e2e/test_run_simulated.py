"""The product as a newcomer starts it: a simulated market from an empty folder, stored, analysed, and gone on with."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.support.system import System, running_system

HISTORY_S = 400  # what 120 days of history may take on a machine that is busy with something else
PAIRS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT")


def has_values(system: System, path: str) -> bool:
    answer = system.get(path)
    return answer.status_code == 200 and bool(answer.json()["values"])


def is_found(system: System, path: str) -> bool:
    return system.get(path).status_code == 200


@pytest.mark.slow
@pytest.mark.timeout(2 * HISTORY_S)
def test_a_newcomer_sees_living_data_and_again_after_a_stop(tmp_path: Path, stores: Mapping[str, str]) -> None:
    state = tmp_path / "a state%41 #1?"  # whatever a URL would read into it
    with running_system(state, feed="simulate", environment=stores) as system:
        assert system.get("/health/readiness").json()["ready"]
        for pair in PAIRS:
            for path in (
                f"/data/candles?pair={pair}&period=1h",
                f"/data/trades?pair={pair}",
                f"/data/funding?pair={pair}",
                f"/analysis/volatility?pair={pair}&period=1h",
                f"/analysis/volume?pair={pair}&period=1d",
                f"/analysis/trend?pair={pair}&period=1h",
            ):
                system.wait(partial(has_values, system, path), f"{path} has no values", within_s=HISTORY_S)
            for path in (
                f"/data/depth?pair={pair}",
                f"/analysis/spread?pair={pair}",
                f"/analysis/deviation?pair={pair}&period=1h",
                f"/analysis/seasonality?pair={pair}&period=1h",
                f"/analysis/regime?pair={pair}&period=1d",
            ):
                system.wait(partial(is_found, system, path), f"{path} was not found", within_s=HISTORY_S)
        for path in ("/analysis/correlation?pairs=BTCUSDT,ETHUSDT&period=1h", "/analysis/market-overview"):
            system.wait(partial(is_found, system, path), f"{path} was not found", within_s=HISTORY_S)
        before = system.get("/data/candles?pair=BTCUSDT&period=1h&limit=3").json()["values"][0]
    with running_system(state, feed="simulate", environment=stores) as system:
        kept = system.get("/data/candles?pair=BTCUSDT&period=1h&limit=1000").json()["values"]
        assert before in kept
