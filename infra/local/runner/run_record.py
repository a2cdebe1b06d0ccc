"""The record of a running system, ``run.json`` in its state folder: what runs where, kept current by the runner.

Other commands (``tick``, ``status``) and tests find the system by it. It is removed when the system stops.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from common.errors import ConfigurationError

DEFAULT_FOLDERS: Final = Path(".petrosa")


class PartRecord(msgspec.Struct, frozen=True):
    """One part: its process, how often it was started again, where it answers, where it writes its log, what fails."""

    pid: int | None
    state: str
    restarts: int
    url: str | None
    log: str
    functions: tuple[str, ...] = ()
    trouble: str = ""


class RunRecord(msgspec.Struct, frozen=True):
    """A running system.

    ``pid`` is the runner's; ``broker_url`` is what parts get as ``K_SINK``; ``stores`` says what they are for people;
    ``mongodb_url`` is the address of MongoDB, where it is used, with its database and never with an account.
    """

    pid: int
    started_at_ms: int
    ready: bool
    url: str
    nats_url: str
    broker_url: str
    state_dir: str
    feed: str
    market: str
    isolate: bool
    clock: str | None
    schedules: dict[str, str]
    parts: dict[str, PartRecord]
    stores: str = "SQLite files"
    mongodb_url: str | None = None

    def source_of(self, schedule: str) -> str:
        """Return the ``source`` attribute of a schedule's events.

        Raises:
            ConfigurationError: there is no such schedule; the text names those there are.
        """
        if schedule not in self.schedules:
            known = ", ".join(sorted(self.schedules)) or "none"
            raise ConfigurationError(f"the schedule {schedule!r} is unknown; known are: {known}")
        return self.schedules[schedule]


def read_record(file: Path) -> RunRecord | None:
    """Read a record; None when there is none or its runner is gone."""
    try:
        record = msgspec.json.decode(file.read_bytes(), type=RunRecord)
        os.kill(record.pid, 0)
    except (FileNotFoundError, ProcessLookupError, msgspec.MsgspecError):
        return None
    except PermissionError:  # another user's process: it is there
        return record
    return record


def find_running(data_dir: Path | None) -> RunRecord:
    """Find the running system: that of ``data_dir``, or the only one under ``.petrosa/``.

    Raises:
        ConfigurationError: none runs there, or several do and none was named.
    """
    folders = [data_dir] if data_dir else sorted(DEFAULT_FOLDERS.glob("*"))
    found = [record for folder in folders if (record := read_record(folder / "run.json"))]
    if not found:
        place = f"the state folder {data_dir}" if data_dir else f"any state folder under {DEFAULT_FOLDERS}/"
        raise ConfigurationError(
            f"no running system was found in {place}: start one with `make run`, or name its folder with "
            "PETROSA_DATA_DIR"
        )
    if len(found) > 1:
        names = ", ".join(record.state_dir for record in found)
        raise ConfigurationError(f"several systems are running ({names}): choose one with PETROSA_DATA_DIR")
    return found[0]
