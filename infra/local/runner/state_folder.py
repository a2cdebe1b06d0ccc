"""The state folder of a run: whose data it holds, who uses it now, and where each thing in it lies.

One runner at a time holds a folder. The folder remembers the market and the origin of its data, so that prices of two
markets, or simulated and real ones, never meet in one store; and the kind of its stores, because what lies in the
folder beside them (streams, positions) tells of rows that other stores do not have.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from common.errors import ConfigurationError, StateMismatch

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MARK_FILE: Final = "state.json"
_LOG_LIMIT_BYTES: Final = 10 * 1024 * 1024
_LOGS_KEPT: Final = 3


class StateMark(msgspec.Struct, frozen=True):
    """What a folder remembers.

    Attributes:
        market: ``um`` or ``spot``.
        origin: of the data, ``simulated``, ``external`` or ``live``.
        stores: ``embedded``, ``servers``, or ``mongodb`` or ``mysql`` for one server beside files.
    """

    market: str
    origin: str
    stores: str = "embedded"


@dataclass(frozen=True)
class StateFolder:
    """Where the things of a run lie. ``path`` is absolute."""

    path: Path

    @property
    def run_file(self) -> Path:
        """The record of the running system (``infra.local.runner.run_record``)."""
        return self.path / "run.json"

    @property
    def plan_file(self) -> Path:
        """The plan of the broker (``infra.local.broker.plan``)."""
        return self.path / "plan.json"

    @property
    def workers_file(self) -> Path:
        """The plan of the function processes (``infra.local.origin.layout``)."""
        return self.path / "workers.json"

    @property
    def feed_file(self) -> Path:
        """How far the feed came; written by the feed."""
        return self.path / "feed.json"

    @property
    def nats(self) -> Path:
        """Folder of the NATS server: configuration and streams."""
        return self.path / "nats"

    def claim(self, mark: StateMark) -> None:
        """Remember what the data are from now on; a start that was refused before leaves no mark."""
        file = self.path / _MARK_FILE
        if not file.exists():
            write_atomically(file, msgspec.json.encode(mark))

    def log(self, part: str) -> Path:
        """Return the log file of a part."""
        return self.path / "logs" / f"{part}.log"


@contextmanager
def held_state_folder(path: Path, mark: StateMark) -> Iterator[StateFolder]:
    """Create the folder when it is missing, and hold it against other runners until the block is left.

    Raises:
        ConfigurationError: the folder cannot be used or written, or another runner holds it.
        StateMismatch: it belongs to another market, to data of another origin, or to other stores.
    """
    folder = StateFolder(path.absolute())
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        (folder.path / "logs").mkdir(exist_ok=True)
        lock = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigurationError(
            f"PETROSA_DATA_DIR: the state folder {folder.path} cannot be used ({error.strerror}): choose another"
        ) from error
    try:
        _acquire(lock, folder.path)
        _check_mark(folder.path, mark)
        yield folder
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise ConfigurationError(
            f"PETROSA_DATA_DIR: the state folder {folder.path} cannot be written ({error.strerror}): make room, "
            "or choose another"
        ) from error
    finally:
        os.close(lock)  # gives the lock back, as the end of the process does


def _acquire(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        raise ConfigurationError(
            f"the state folder {path} is in use by another runner (process {holder}): stop that one, "
            "or choose another folder with PETROSA_DATA_DIR"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _check_mark(path: Path, mark: StateMark) -> None:
    file = path / _MARK_FILE
    try:
        stored = msgspec.json.decode(file.read_bytes(), type=StateMark)
    except FileNotFoundError:
        return
    except msgspec.MsgspecError as error:
        raise ConfigurationError(
            f"{file} is not readable as the mark of a state folder: remove the folder {path}, "
            "or choose another with PETROSA_DATA_DIR"
        ) from error
    if stored != mark:
        raise StateMismatch(
            f"the state folder {path} belongs to {_described(stored)}, and this start would add {_described(mark)}. "
            f"Choose another folder with PETROSA_DATA_DIR, start as before (FEED, PETROSA_MARKET, STORES and the "
            f"addresses of database servers), or remove the folder to begin anew"
        )


def _described(mark: StateMark) -> str:
    return f"{mark.origin} data of the market {mark.market!r} with the stores {mark.stores!r}"


def write_atomically(file: Path, content: bytes) -> None:
    """Replace ``file`` so that a reader sees the old or the new content, never a part of one.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)  # half of it would take room
        raise


def rotate_log(log: Path, limit_bytes: int = _LOG_LIMIT_BYTES) -> None:
    """Set a log aside when it has grown above the limit; the three newest of those are kept."""
    if not log.exists() or log.stat().st_size <= limit_bytes:
        return
    for number in range(_LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))
