"""Nothing that was published is lost and nothing is stored twice, whatever dies: the whole system, killed at random."""

import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from common.models.families import Family
from tests.support.system import running_system
from tests.support.traffic import finish, publish, replay, stored_rows, trade, trades_file, wait_stored

VICTIMS = ("bridge", "ingest", "broker", "nats", "event-function", "route-group")
TRADES = 60_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killing_parts_at_random_during_a_replay(tmp_path: Path, stores: Mapping[str, str], seed: int) -> None:
    chance = random.Random(seed)
    file = trades_file(tmp_path / "BTCUSDT-trades-2024-08-08.csv", range(TRADES))
    with running_system(tmp_path / "state", environment=stores) as system:
        process = replay(system, file)
        for _ in range(10):
            time.sleep(chance.uniform(0.05, 0.8))
            victim = chance.choice(VICTIMS)
            if system.part(victim).pid is not None and system.part(victim).state == "ready":
                system.kill(victim)
        finish(process)
        wait_stored(system, Family.TRADES, TRADES)
        # Once more from the beginning: everything is known already.
        finish(replay(system, file))
        time.sleep(1)
        assert stored_rows(system, Family.TRADES) == TRADES
        system.wait(lambda: all(part.state == "ready" for part in system.record.parts.values()))
        letters = system.get("/health/dead-letters").json()
        assert letters["pagination"]["total"] == 0, letters


@pytest.mark.slow
def test_the_flow_goes_on_after_each_kill(tmp_path: Path, stores: Mapping[str, str]) -> None:
    with running_system(tmp_path / "state", environment=stores) as system:
        published = 0
        for victim in VICTIMS:
            system.kill(victim)
            if victim == "nats":
                system.wait_restarted("nats")
            publish(system, [trade(number) for number in range(published, published + 100)])
            published += 100
            wait_stored(system, Family.TRADES, published)


@pytest.mark.slow
def test_a_burst_of_core_publishes_reaches_the_stream_whole(tmp_path: Path) -> None:
    count = 400_000
    with running_system(tmp_path / "state") as system:
        publish(system, (trade(number) for number in range(count)))
        wait_stored(system, Family.TRADES, count, within_s=90)


def test_a_stop_in_the_middle_loses_nothing_and_a_second_start_goes_on(
    tmp_path: Path, stores: Mapping[str, str]
) -> None:
    state = tmp_path / "state"
    with running_system(state, environment=stores) as system:
        publish(system, (trade(number) for number in range(30_000)))
    with running_system(state, environment=stores) as system:
        wait_stored(system, Family.TRADES, 30_000)


def test_while_the_store_is_locked_the_bridge_holds_back_and_afterwards_all_is_stored(tmp_path: Path) -> None:
    with running_system(tmp_path / "state", environment={"STORE_BUSY_TIMEOUT_MS": "200"}) as system:
        publish(system, (trade(number) for number in range(100)))
        wait_stored(system, Family.TRADES, 100)
        other = sqlite3.connect(tmp_path / "state" / "market.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        publishing = threading.Thread(target=publish, args=(system, [trade(number) for number in range(20_000)]))
        publishing.start()
        system.wait(lambda: system.get("/health/readiness").status_code == 503, "readiness stayed 200")
        body = system.get("/health/readiness").json()
        assert body["components"]["market_store"] == "unhealthy"
        publishing.join()
        time.sleep(3)
        other.execute("ROLLBACK")
        other.close()
        wait_stored(system, Family.TRADES, 20_000)
        system.wait(lambda: system.get("/health/readiness").status_code == 200, "readiness did not come back")
        assert system.get("/health/dead-letters").json()["pagination"]["total"] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here: root is needed")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_while_the_disk_is_full_nothing_is_lost_and_afterwards_all_is_stored(tmp_path: Path, small_disk: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "market.db").symlink_to(small_disk / "market.db")
    with running_system(state) as system:
        publish(system, (trade(number) for number in range(60_000)))
        system.wait(lambda: system.get("/health/readiness").status_code == 503, "readiness stayed 200")
        assert stored_rows(system, Family.TRADES) < 60_000
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        wait_stored(system, Family.TRADES, 60_000)
        system.wait(lambda: system.get("/health/readiness").status_code == 200, "readiness did not come back")
        assert system.get("/health/dead-letters").json()["pagination"]["total"] == 0
