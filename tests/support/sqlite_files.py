"""Other processes that meet on a database file: one that holds its lock, and children that run a piece of program."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent

ROOT = Path(__file__).resolve().parents[2]

_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
connection.close()
"""

_PRELUDE = """
import asyncio, sys
from contextlib import suppress
from pathlib import Path
from common.errors import StoreUnavailable
from common.models.families import Family, Series
from common.storage.ports import Window
from common.storage.sqlite.market import SqliteMarketStore
from common.timeframes import Timeframe
from tests.support.store_rows import CANDLES, TRADES, candle, letter, put, rows_of, trade

async def main(folder):
{body}

asyncio.run(main(Path(sys.argv[1])))
"""


@contextmanager
def locked(path: Path) -> Iterator[Callable[[], None]]:
    """Let another process hold the write lock of a file; what is given releases it early."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"locked\n"
        yield holder.stdin.close
    finally:
        holder.stdin.close()
        holder.wait(timeout=10)
        holder.stdout.close()


def running_child(body: str, folder: Path, prefix: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """Start a process that runs the body of an ``async def main(folder)``."""
    program = _PRELUDE.format(body=indent(dedent(body), "    "))
    command = [*prefix, sys.executable, "-c", program, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def run_child(body: str, folder: Path, prefix: Sequence[str] = ()) -> str:
    """Run such a process to its end and return what it printed."""
    child = running_child(body, folder, prefix)
    printed, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    return printed
