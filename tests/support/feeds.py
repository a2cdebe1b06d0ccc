"""What tests of the feeds share: a place that takes messages, and short ways to read a recording."""

import gzip
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.events import Event, types
from common.models.dead_letters import DeadLetter
from common.models.rows import MarketRow
from common.wire.classify import classify
from functions.ingest.writer import BatchReader
from triggers.feeds.recordings.files import Choice, RecordedFile
from triggers.feeds.recordings.recorded import FileReport, Market


@dataclass
class MessageList:
    """Takes messages like a publisher; ``flushed`` tells how many there were at the last flush."""

    payloads: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    flushed: int = 0

    async def publish(self, payload: bytes, message_id: str) -> None:
        """Take a message."""
        self.payloads.append(payload)
        self.ids.append(message_id)

    async def flush(self) -> None:
        """Note that everything so far is safe."""
        self.flushed = len(self.payloads)

    def events(self) -> list[dict[str, Any]]:
        """Return the events inside the envelopes."""
        return [json.loads(payload)["data"] for payload in self.payloads]


def ingested(payloads: Iterable[bytes], now_ms: int) -> tuple[list[MarketRow], list[DeadLetter]]:
    """Return the rows and the dead letters that ingest would make of messages."""
    rows: list[MarketRow] = []
    dead: list[DeadLetter] = []
    for payload in payloads:
        kind = classify(payload).kind
        event = Event(type=types.market(kind), source="/test", time_ms=now_ms, data=payload)
        batch = BatchReader(kind).read(event, now_ms)
        rows.extend(batch.rows)
        dead.extend(batch.dead_letters)
    return rows, dead


def write_recording(path: Path, text: str | bytes) -> Path:
    """Write a text in the form that the end of the name asks for: plain, ``.gz`` or ``.zip``."""
    content = text.encode() if isinstance(text, str) else text
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{path.stem}.csv", content)
    else:
        path.write_bytes(content)
    return path


def lines(events: Iterable[object]) -> str:
    """Return JSON values one a line."""
    return "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events)


def read_recording(
    path: Path,
    *,
    deployment: Market = "um",
    market: Market | None = None,
    symbol: str | None = None,
    timeframe: str | None = None,
) -> tuple[list[dict[str, Any]], FileReport]:
    """Return the events that a file gives, and the report."""
    file = RecordedFile(path, Choice(deployment, market, symbol, timeframe))
    return [json.loads(event.data) for event in file.events()], file.report
