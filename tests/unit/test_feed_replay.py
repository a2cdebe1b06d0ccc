"""Replaying several files: their order, their pace, their stop."""

import asyncio
import time
from pathlib import Path

from common.errors import PayloadTooLarge
from tests.support.feeds import MessageList, lines, write_recording
from tests.support.patience import PATIENCE_S
from triggers.feeds.recordings.files import Choice, RecordedFile
from triggers.feeds.recordings.recorded import FileReport
from triggers.feeds.recordings.sources import find_recordings
from triggers.feeds.replay import replay

START_MS = 1_700_000_000_000


def recording(path: Path, trade_ids: range, *, every_ms: int, later_ms: int = 0) -> RecordedFile:
    events = [
        {"e": "trade", "E": START_MS + later_ms + at * every_ms, "s": "BTCUSDT", "t": trade_id, "p": "1", "q": "1"}
        for at, trade_id in enumerate(trade_ids)
    ]
    return RecordedFile(write_recording(path, lines(events)), Choice("um"))


def play(
    files: list[RecordedFile], *, speed: float | None = None, sink: MessageList | None = None, stop_after: int = 0
) -> tuple[MessageList, list[FileReport]]:
    sink = sink or MessageList()

    async def main() -> list[FileReport]:
        stop = asyncio.Event()

        def progress() -> None:
            if stop_after and len(sink.payloads) >= stop_after:
                stop.set()

        return await replay(files, sink, speed=speed, stop=stop, on_progress=progress)

    return sink, asyncio.run(main())


def ids(sink: MessageList) -> list[int]:
    return [event["t"] for event in sink.events()]


def test_at_full_speed_one_file_follows_the_other(tmp_path: Path) -> None:
    late = recording(tmp_path / "a.ndjson", range(3), every_ms=1000, later_ms=500)
    early = recording(tmp_path / "b.ndjson", range(10, 13), every_ms=1000)
    sink, reports = play([late, early])
    assert ids(sink) == [0, 1, 2, 10, 11, 12]
    assert sink.flushed == 6
    assert [report.messages["trade"] for report in reports] == [3, 3]
    assert [file.position for file in (late, early)] == [file.size for file in (late, early)]


def test_at_a_pace_all_files_share_one_time_line(tmp_path: Path) -> None:
    late = recording(tmp_path / "a.ndjson", range(3), every_ms=100_000, later_ms=50_000)
    early = recording(tmp_path / "b.ndjson", range(10, 13), every_ms=100_000)
    before = time.monotonic()
    sink, _ = play([late, early], speed=1000)
    assert ids(sink) == [10, 0, 11, 1, 12, 2]
    assert 0.24 <= time.monotonic() - before < PATIENCE_S, "250 seconds, a thousand times faster"


def test_the_same_file_gives_the_same_messages_each_time(tmp_path: Path) -> None:
    first, _ = play([recording(tmp_path / "a.ndjson", range(100), every_ms=10)])
    second, _ = play([recording(tmp_path / "a.ndjson", range(100), every_ms=10)])
    assert first.payloads == second.payloads
    assert first.ids == second.ids
    assert len(set(first.ids)) == 100


def test_a_stop_ends_the_replay_and_waits_for_what_was_published(tmp_path: Path) -> None:
    sink, _ = play([recording(tmp_path / "a.ndjson", range(5000), every_ms=1)], stop_after=1000)
    assert 1000 <= len(sink.payloads) < 3000
    assert sink.flushed == len(sink.payloads)


def test_a_stop_is_heard_while_waiting_for_the_next_event(tmp_path: Path) -> None:
    file = recording(tmp_path / "a.ndjson", range(2), every_ms=3_600_000)
    sink = MessageList()

    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        await asyncio.wait_for(replay([file], sink, speed=1, stop=stop), PATIENCE_S)

    asyncio.run(main())
    assert ids(sink) == [0]


def test_a_message_larger_than_the_server_takes_is_left_out_and_named(tmp_path: Path) -> None:
    class Small(MessageList):
        async def publish(self, payload: bytes, message_id: str) -> None:
            if b'"t":1,' in payload:
                raise PayloadTooLarge("expected at most 100 bytes")
            await super().publish(payload, message_id)

    sink, (report,) = play([recording(tmp_path / "a.ndjson", range(3), every_ms=1)], sink=Small())
    assert ids(sink) == [0, 2]
    assert report.messages == {"trade": 2}
    assert report.skipped == {"larger than the server takes": 1}
    assert report.notes == ["expected at most 100 bytes"]


def test_a_bad_file_does_not_keep_the_others_from_being_played(tmp_path: Path) -> None:
    bad = RecordedFile(write_recording(tmp_path / "bad.csv", "nothing,here\n"), Choice("um"))
    good = recording(tmp_path / "good.ndjson", range(3), every_ms=1)
    for speed in (None, 1000.0):
        sink, reports = play([bad, good], speed=speed)
        assert ids(sink) == [0, 1, 2]
        assert [report.failure is None for report in reports] == [False, True]


def test_a_folder_stands_for_the_recordings_in_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.csv", "a.ndjson.gz", "deep/c.zip", "notes.md", "d.png"):
        (tmp_path / name).write_bytes(b"")
    assert [file.name for file in find_recordings(tmp_path)] == ["a.ndjson.gz", "b.csv", "c.zip"]
    assert find_recordings(tmp_path / "notes.md") == [tmp_path / "notes.md"]
