"""What the terminal shows of a system."""

import io
import json
import os
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from common.models.families import Family
from infra.local.runner.observation import FeedProgress, Figures, Rates, Stored, Usage, cpu_and_memory, read_feed
from infra.local.runner.run_record import PartRecord, RunRecord
from infra.local.runner.view import PlainView, dashboard, summary_line, view_for

RECORD = RunRecord(
    pid=1,
    started_at_ms=1_000_000,
    ready=True,
    url="http://127.0.0.1:8080",
    nats_url="nats://127.0.0.1:4222",
    broker_url="http://127.0.0.1:20001/petrosa-apps/default",
    state_dir="/state",
    feed="simulate",
    market="um",
    isolate=False,
    clock=None,
    schedules={"audit": "/audit"},
    parts={
        "nats": PartRecord(10, "ready", 0, None, "nats.log"),
        "ingest": PartRecord(None, "down", 3, "http://i", "ingest.log", ("ingest",)),
        "feed": PartRecord(None, "ended", 0, None, "feed.log"),
    },
)
FIGURES = Figures(
    taken_at_ms=1_195_000,
    usage={"nats": Usage(12.4, 41.7), "ingest": Usage()},
    received_per_s=1234.5,
    stored_per_s={"trades": 900.2, "depth": 4.25},
    stored=Stored(dict.fromkeys(Family, 1000), dead_letters=2, analytics_age_s=75),
    feed=FeedProgress("history", 30_210, 71_000),
)


def shown(width: int, figures: Figures = FIGURES, record: RunRecord = RECORD) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(dashboard(record, figures, width))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 140])
def test_the_view_says_what_runs_what_flows_and_what_is_stored(width: int) -> None:
    text = shown(width)
    for words in (
        "ready",
        "http://127.0.0.1:8080",
        "up 3m 15s",
        "12 %",
        "42 MiB",
        "down",
        "1,234/s",
        "1m 15s ago",
        "dead letters 2",
        "feed history 43 %, 30,210 published",
        "7,000",
        "stores: SQLite files",
    ):
        assert words in text
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text


def test_a_wide_terminal_also_shows_every_family() -> None:
    for family in Family:
        assert family.replace("_", " ") in shown(140)


def test_what_is_not_known_is_not_shown_as_zero() -> None:
    text = shown(140, Figures(taken_at_ms=1_195_000))
    assert "dead letters –" in text
    assert "none yet" in text
    assert "received –/s" in text
    assert "stored –/s" in summary_line(RECORD, Figures(taken_at_ms=1_195_000))


def test_one_line_tells_the_same() -> None:
    line = summary_line(RECORD, FIGURES)
    for words in ("ready", "parts 1/2", "restarts 3", "rows 7,000", "dead letters 2", "1m 15s ago"):
        assert words in line
    assert "\n" not in line


def test_without_a_terminal_plain_lines_are_printed() -> None:
    console = Console(file=io.StringIO(), width=40)
    view = view_for(console)
    assert isinstance(view, PlainView)
    with view:
        view.show(RECORD, FIGURES)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == summary_line(RECORD, FIGURES) + "\n"


def test_rates_survive_a_counter_that_starts_again() -> None:
    rates = Rates()
    assert rates.rate("x", 100, 1.0) is None
    assert rates.rate("x", 300, 3.0) == 100
    assert rates.rate("x", 50, 4.0) == 50


def test_the_feeds_progress_is_read_and_nonsense_is_not(tmp_path: Path) -> None:
    file = tmp_path / "feed.json"
    assert read_feed(file) is None
    file.write_text(json.dumps({"phase": "live", "published": 7, "more": "x"}))
    assert read_feed(file) == FeedProgress("live", 7)
    file.write_text('{"phase": 3}')
    assert read_feed(file) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_use_of_a_process_is_read() -> None:
    found = cpu_and_memory(os.getpid())
    assert found is not None
    seconds, mebibytes = found
    assert 0 < seconds < 3600
    assert 10 < mebibytes < 4096
    assert cpu_and_memory(2**22 + 1) is None


def test_a_part_that_fails_its_probes_is_named_with_what_it_fails() -> None:
    trouble = "readiness of ingest failed 3 times (threshold 3), liveness of ingest failed 1 times (threshold 6)"
    part = PartRecord(11, "not ready", 0, "http://i", "ingest.log", ("ingest",), trouble)
    record = msgspec.structs.replace(RECORD, parts={**RECORD.parts, "ingest": part})
    assert f"ingest: {trouble}" in shown(140, record=record)
    assert "parts 1/2, ingest not ready" in summary_line(record, FIGURES)
