"""Which SQLite errors are faults of the surroundings (disk, lock, file) and may pass, and which are bugs of ours."""

import sqlite3
from typing import Final

_PRIMARY_CODE: Final = 0xFF  # the low byte of an extended code names its class

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PASSING: Final = _BUSY | {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)  # errors of the Python module itself carry none
    return None if code is None else code & _PRIMARY_CODE


def may_pass(error: BaseException) -> bool:
    """Tell whether the store was at fault (locked, full, unreadable, gone), and not the statement."""
    return isinstance(error, sqlite3.Error) and _code(error) in _PASSING


def breaks_connection(error: sqlite3.Error) -> bool:
    """Tell whether a new connection is needed; after a lock or a full disk the old one goes on."""
    return _code(error) not in _BUSY | {sqlite3.SQLITE_FULL}


def describe(error: BaseException) -> str:
    """Return SQLite's own words and the code that its documentation lists."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return f"{error} ({name})"
