"""A recorded file from its first byte to its last: what it is, whether it may be played here, its events."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from common.errors import InvalidRequest
from triggers.feeds.recordings.csv_files import read_csv, split_row
from triggers.feeds.recordings.json_lines import JsonLinesReader, Message, bare_depth_is_partial, market_of, unwrap
from triggers.feeds.recordings.names import read_name
from triggers.feeds.recordings.recorded import FileFacts, FileReport, Market, Recorded, UnreadableFile
from triggers.feeds.recordings.sources import Member, Recording, open_recording
from triggers.feeds.recordings.tables import read_table

_SAMPLE_LINES: Final = 200
_UNREADABLE: Final = (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnreadableFile, InvalidRequest)


@dataclass(frozen=True)
class Choice:
    """What the command line says of the files.

    Attributes:
        deployment_market: the market that this deployment serves.
        market: the market that the files are of, whatever their names or their contents say.
        symbol: the pair, whatever their names say.
        timeframe: the interval of candles, whatever their names say.
    """

    deployment_market: Market
    market: Market | None = None
    symbol: str | None = None
    timeframe: str | None = None


class RecordedFile:
    """One file to be played. ``report`` grows while its ``events`` are taken."""

    def __init__(self, path: Path, choice: Choice) -> None:
        self.report = FileReport(path)
        self.size = path.stat().st_size if path.is_file() else 0
        self._choice = choice
        self._recording: Recording | None = None

    @property
    def position(self) -> int:
        """Bytes of the file that were read so far."""
        return self._recording.position if self._recording else 0

    def events(self) -> Iterator[Recorded]:
        """Give the events of the file. What stops the reading is noted in the report and ends the events."""
        with ExitStack() as stack:
            try:
                self._recording = stack.enter_context(open_recording(self.report.path))
                for member in self._recording.members():
                    for event in self._read(member):
                        self.report.messages[event.kind] += 1
                        yield event
                if not self.report.messages.total():
                    raise UnreadableFile("expected market events, found none that can be published")
            except _UNREADABLE as error:
                self.report.failure = str(error) or type(error).__name__

    def _read(self, member: Member) -> Iterator[Recorded]:
        sample = list(islice(member.lines, _SAMPLE_LINES))
        first = next((line for line in sample if line.strip()), None)
        if first is None:
            raise UnreadableFile("expected recorded market data, found nothing")
        lines = chain(sample, member.lines)
        name = read_name(member.name)
        facts = FileFacts(self._choice.symbol or name.symbol, self._choice.timeframe or name.timeframe)
        if first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
            yield from self._read_json(sample, lines, facts, name.market)
        else:
            table = read_table(split_row(first))
            self.report.layout = f"{table.kind} table"
            self._check_market(name.market or table.market)
            yield from read_csv(lines, table, facts, self.report)

    def _read_json(
        self, sample: list[bytes], lines: Iterator[bytes], facts: FileFacts, named_market: str | None
    ) -> Iterator[Recorded]:
        self.report.layout = "recorded messages"
        messages = _readable(sample)
        if not messages:
            raise UnreadableFile("expected one JSON message a line")
        self._check_market(named_market or next(filter(None, map(market_of, messages)), None))
        reader = JsonLinesReader(facts, self.report, bare_is_difference=not bare_depth_is_partial(messages))
        yield from reader.read(lines)

    def _check_market(self, market: str | None) -> None:
        choice = self._choice
        market = choice.market or market
        if market is not None and market != choice.deployment_market:
            raise UnreadableFile(
                f"the file is of the market {market}, this deployment serves {choice.deployment_market}: start it with "
                f"PETROSA_MARKET={market}, or say --market {choice.deployment_market} if the file is taken wrongly"
            )


def _readable(sample: list[bytes]) -> list[Message]:
    messages: list[Message] = []
    for line in sample:
        try:
            messages.extend(unwrap(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            continue  # the reader will name it
    return messages
