"""What the bench shows and keeps: whole names at eighty columns, figure by figure, and why one is missing."""

import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from infra.local.databases.missing import DatabaseMissing
from tests.bench import __main__ as bench
from tests.bench.report import Figure, in_turn, save, show

MEMORY = Figure("live traffic, nats-server memory", 87.5, "MiB", "< 300", holds=True)
SLOW = Figure(
    "GET /data/candles, throughput", 7380.07, "requests/CPU-s", ">= 40 % of a bare route", False, 23809.5, 0.31
)
NONE = Figure("backlog on servers", None, "", "", False, missing="no MariaDB: install mariadb-server, or set MYSQL_URI")
FIGURES = [MEMORY, SLOW, NONE]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_is_whole(columns: int) -> None:
    shown = io.StringIO()
    show(FIGURES, Console(file=shown, width=columns))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in shown.getvalue()
    for part in (SLOW.name, SLOW.unit, SLOW.budget, "23,809.50", MEMORY.name, "MariaDB"):
        assert any(part in line for line in lines), part


def test_each_figure_is_kept_in_place_of_its_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / ".bench" / "latest.json"
    for figure in (*FIGURES, Figure(NONE.name, 50_000, "messages/s", "all stored", holds=True)):
        save(figure, path)
    kept = {row["name"]: row["value"] for row in json.loads(path.read_text())}
    assert kept == {MEMORY.name: MEMORY.value, SLOW.name: SLOW.value, NONE.name: 50_000}
    assert list(path.parent.iterdir()) == [path]


class Measurements:
    """What stands for the modules that measure."""

    @staticmethod
    def good() -> list[Figure]:
        return [MEMORY]

    @staticmethod
    def breaks_off() -> Iterator[Figure]:
        yield SLOW
        raise DatabaseMissing("no MariaDB: install mariadb-server")

    @staticmethod
    def fails() -> list[Figure]:
        raise RuntimeError("it ended\nat once")


@pytest.mark.parametrize(
    ("names", "status"), [(["good"], 0), (["fails", "good"], 2), (["breaks_off", "good"], 1)], ids=str
)
def test_what_cannot_be_measured_says_why_and_the_rest_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: list[str], status: int
) -> None:
    monkeypatch.setitem(sys.modules, "measurements_of_this_test", Measurements)
    monkeypatch.setattr(bench, "MEASUREMENTS", {name: ("measurements_of_this_test", name) for name in names})
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "latest.json")
    monkeypatch.setattr(sys, "argv", ["bench"])
    assert bench.main() == status
    shown = capsys.readouterr().out
    assert MEMORY.name in shown
    assert ("RuntimeError: it ended" in shown) is ("fails" in names)
    rows = {row["name"]: row["missing"] for row in json.loads((tmp_path / "latest.json").read_text())}
    assert rows[MEMORY.name] is None
    assert ("MariaDB" in str(rows.get("breaks_off"))) is ("breaks_off" in names)
    assert (SLOW.name in rows) is ("breaks_off" in names)


def test_noise_that_slows_both_sides_down_does_not_decide() -> None:
    chance = random.Random(1)
    speed = 1.0

    def noisy(rate: float) -> float:
        nonlocal speed
        speed = max(0.1, min(1.0, speed + chance.uniform(-0.1, 0.1)))
        return rate * speed

    assert in_turn(lambda: noisy(40), lambda: noisy(100), 31).ratio == pytest.approx(0.4, rel=0.05)
