"""Opening a recording: plain text, gzip, or a zip archive, told apart by their first bytes."""

import contextlib
import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from triggers.feeds.recordings.recorded import UnreadableFile

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_BUFFER_BYTES: Final = 1 << 18
_SUFFIXES: Final = (".csv", ".csv.gz", ".zip", ".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz", ".json", ".json.gz")


class Member(NamedTuple):
    """A text inside a file: the file itself, or one entry of an archive. ``lines`` end with their line break."""

    name: str
    lines: Iterator[bytes]


class Recording:
    """An open file; ``position`` tells how many of its ``size`` bytes on disk are read."""

    def __init__(self, path: Path, raw: IO[bytes]) -> None:
        self.size = path.stat().st_size
        self._path = path
        self._raw = raw

    @property
    def position(self) -> int:
        """Bytes of the file that were read so far."""
        return self.size if self._raw.closed else self._raw.tell()

    def members(self) -> Iterator[Member]:
        """Give the texts inside, one after the other.

        Raises:
            UnreadableFile: an archive without a text.
            OSError, EOFError, zlib.error, zipfile.BadZipFile: while reading, when the file is damaged.
        """
        start = self._raw.read(4)
        self._raw.seek(0)
        if start.startswith(_ZIP):
            yield from self._zip_members()
        elif start.startswith(_GZIP):
            with gzip.open(self._raw) as text:
                yield Member(self._path.name, iter(text))
        else:
            yield Member(self._path.name, iter(self._raw))

    def _zip_members(self) -> Iterator[Member]:
        with zipfile.ZipFile(self._raw) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir() and _is_text(info.filename)]
            if not entries:
                raise UnreadableFile("expected a .csv or .ndjson file in the archive, found none")
            for info in entries:
                with archive.open(info) as text:
                    yield Member(info.filename, iter(text))


@contextlib.contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Open a file of recorded data.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb", buffering=_BUFFER_BYTES) as raw:
        yield Recording(path, raw)


def find_recordings(path: Path) -> list[Path]:
    """Return ``path`` itself or, of a folder, every file in it whose name looks like a recording, by name."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and file.name.lower().endswith(_SUFFIXES))


def _is_text(name: str) -> bool:
    return name.lower().endswith((".csv", ".ndjson", ".jsonl", ".json", ".txt"))
