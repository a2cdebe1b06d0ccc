"""What the readers of recordings give: events in the order of the file, and a report of what became of its lines."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from common.errors import PetrosaError

Market = Literal["um", "spot"]

_MAX_NAMED_LINES: Final = 20


class Recorded(NamedTuple):
    """One event of a recording.

    Attributes:
        time_us: when it was received or, where that was not recorded, when it happened; microseconds since the epoch.
        kind: Binance's name of the event.
        stream: the name that the producer gives its stream.
        data: the event, JSON on one line.
    """

    time_us: int
    kind: str
    stream: str
    data: bytes


class UnreadableFile(PetrosaError):
    """The file as a whole cannot be played; the text says what would help."""

    code = "unreadable_file"


class BadLine(Exception):
    """A line gives no event.

    Args:
        reason: a few words that are the same for all lines of this kind; they are counted.
        detail: what was expected of which field, when the line is broken and should be named; otherwise None.
    """

    def __init__(self, reason: str, detail: str | None = None) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail or reason)


@dataclass
class FileReport:
    """What became of one file.

    Attributes:
        path: the file.
        layout: what it was taken for.
        messages: events given, by kind.
        skipped: what was left out, by reason; lines of text, or events of a recording.
        named_lines: the first broken lines, with their numbers.
        notes: what else the operator should know.
        failure: why the file, or the rest of it, could not be read.
    """

    path: Path
    layout: str = "unknown"
    messages: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    named_lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: str | None = None

    def note(self, text: str) -> None:
        """Keep something that the operator should know."""
        if len(self.notes) < _MAX_NAMED_LINES:
            self.notes.append(text)

    def skip(self, line_number: int, bad: BadLine) -> None:
        """Count a line that gave no event, and name it when it is broken."""
        self.skipped[bad.reason] += 1
        if bad.detail is not None and len(self.named_lines) < _MAX_NAMED_LINES:
            self.named_lines.append(f"line {line_number}: {bad.detail}")


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file before its lines are read, from its name and from the command line.

    Attributes:
        symbol: the pair, where the lines do not say it.
        timeframe: the interval of its candles, where the lines do not say it.
    """

    symbol: str | None = None
    timeframe: str | None = None

    def require_symbol(self) -> str:
        """Return the symbol.

        Raises:
            UnreadableFile: nothing says it.
        """
        if self.symbol is None:
            raise UnreadableFile("neither the lines nor the name of the file say the symbol: add --symbol")
        return self.symbol
