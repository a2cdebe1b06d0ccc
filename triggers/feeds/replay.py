"""Publishes recorded files: one after the other as fast as they are taken, or together at a multiple of their pace."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from common.errors import PayloadTooLarge
from triggers.feeds.envelope import encode
from triggers.feeds.publisher import MessageSink
from triggers.feeds.recordings.files import RecordedFile
from triggers.feeds.recordings.recorded import FileReport, Recorded

# At full speed the loop is given a turn this often, for progress and signals.
_TURN_EVERY: Final = 500
_SHORTEST_WAIT_S: Final = 0.001

Take = tuple[RecordedFile, Recorded]


class Pace:
    """Waits until an event is due: ``speed`` seconds of recorded time pass in one second."""

    def __init__(self, speed: float, stop: asyncio.Event) -> None:
        self._speed = speed
        self._stop = stop
        self._first_us: int | None = None
        self._started_at = 0.0

    async def wait_for(self, time_us: int) -> None:
        """Return when an event of this time is due, or when the replay is stopped."""
        now = asyncio.get_running_loop().time()
        if self._first_us is None:
            self._first_us, self._started_at = time_us, now
        ahead_s = self._started_at + (time_us - self._first_us) / 1e6 / self._speed - now
        if ahead_s >= _SHORTEST_WAIT_S:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), ahead_s)


async def replay(
    files: list[RecordedFile],
    publisher: MessageSink,
    *,
    speed: float | None,
    stop: asyncio.Event,
    on_progress: Callable[[], None] = lambda: None,
) -> list[FileReport]:
    """Publish the events of all files and wait until they are acknowledged.

    Args:
        files: what to play.
        publisher: where to.
        speed: how many times the recorded pace, all files on one time line; None for as fast as possible, one file
            after the other.
        stop: ends the replay early when set; what was published by then is still waited for.
        on_progress: called from time to time.

    Returns:
        A report for each file; its counts are of what was read.

    Raises:
        ConfigurationError: the stream refuses what is published.
    """
    taken = in_order(files) if speed is None else merged(files)
    pace = Pace(speed, stop) if speed is not None else None
    async for file, event in _until_stopped(taken, pace, stop, on_progress):
        try:
            await publisher.publish(*encode(event.stream, event.data, event.time_us))
        except PayloadTooLarge as error:
            file.report.messages[event.kind] -= 1
            file.report.skipped["larger than the server takes"] += 1
            file.report.note(str(error))
    await publisher.flush()
    on_progress()
    return [file.report for file in files]


def in_order(files: Iterable[RecordedFile]) -> Iterator[Take]:
    """Give the events of one file after those of the other."""
    for file in files:
        for event in file.events():
            yield file, event


def merged(files: Iterable[RecordedFile]) -> Iterator[Take]:
    """Give the events of all files by time; within a file they keep their order."""
    return heapq.merge(*(in_order([file]) for file in files), key=lambda take: take[1].time_us)


async def _until_stopped(
    taken: Iterator[Take], pace: Pace | None, stop: asyncio.Event, on_progress: Callable[[], None]
) -> AsyncIterator[Take]:
    for number, take in enumerate(taken):
        if pace is not None:
            await pace.wait_for(take[1].time_us)
        if number % _TURN_EVERY == 0:
            on_progress()
            await asyncio.sleep(0)
        if stop.is_set():
            return
        yield take
