"""The file of the embedded metadata store, as far as it can be told without the SQL library."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from common.storage.sql_metadata.migrations import HEAD

FILE_NAME: Final = "metadata.db"
FORMAT: Final = int(HEAD)


def answers(folder: Path, *, timeout_s: float) -> bool:
    """Tell whether the file can be read and has the present format. Blocks.

    Whatever else is the matter with it (not there yet, older, newer, damaged, locked), the store itself deals with.

    Args:
        folder: the state folder.
        timeout_s: how long to wait for another process that holds it.
    """
    address = f"{(folder / FILE_NAME).absolute().as_uri()}?mode=rw"  # which does not create one
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=timeout_s)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        return False
    return bool(version == FORMAT)
