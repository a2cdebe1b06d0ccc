"""What a test publishes and what must then be stored: trades and candles whose rows are known exactly."""

import asyncio
import csv
import io
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import nats

from common.errors import StoreUnavailable
from common.models.families import Family
from common.settings import Settings
from common.storage.open import open_market_store
from common.storage.ports import MarketStore
from tests.support.patience import PATIENCE_S
from tests.support.system import System

SUBJECT = "binance.futures.websocket.data"
START_MS = 1_723_161_255_000


def trade(number: int, pair: str = "BTCUSDT") -> bytes:
    """Return one trade; each number is another one."""
    time_ms = START_MS + number
    return (
        f'{{"stream":"{pair.lower()}@trade","data":{{"e":"trade","E":{time_ms},"T":{time_ms},"s":"{pair}","t":{number},'
        f'"p":"{60_000 + number % 1000}.10","q":"0.0{number % 9 + 1}0","X":"MARKET","m":false}},'
        f'"timestamp":"2024-08-08T23:54:15.000000Z","message_id":"trade-{pair}-{number}",'
        f'"source":"binance-websocket","version":"1.0"}}'
    ).encode()


def trades_file(path: Path, numbers: Iterable[int]) -> Path:
    """Write trades in the layout of the exchange's archive."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["id", "price", "qty", "quoteQty", "time", "isBuyerMaker"])
    rows.writerows([number, "60000.10", "0.010", "600.0010", START_MS + number, "true"] for number in numbers)
    path.write_text(text.getvalue())
    return path


def publish(system: System, messages: Iterable[bytes]) -> None:
    """Publish as a core NATS producer and wait until the server has everything."""

    async def run() -> None:
        client = await nats.connect(system.nats_url, pending_size=256 * 1024 * 1024)
        for number, message in enumerate(messages):
            await client.publish(SUBJECT, message)
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await client.flush(timeout=60)
        await client.close()

    asyncio.run(run())


def replay(system: System, *paths: Path) -> "subprocess.Popen[str]":
    """Start ``petrosa replay`` against the running system."""
    command = [sys.executable, "-m", "infra.cli.main", "replay", "--nats", system.nats_url, *map(str, paths)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: "subprocess.Popen[str]", within_s: float = 2 * PATIENCE_S) -> str:
    """Wait for a replay to end well and return what it printed."""
    output, _ = process.communicate(timeout=within_s)
    assert process.returncode == 0, output
    return output


def ask_store(system: System, question: Callable[[MarketStore], object]) -> object:
    """Ask the running system's store directly."""
    settings = Settings(petrosa_data_dir=system.state_dir, mongodb_url=system.mongodb_url)

    async def run() -> object:
        store = await open_market_store(settings)
        try:
            return await question(store)  # type: ignore[misc]
        finally:
            await store.close()

    return asyncio.run(run())


def stored_rows(system: System, family: Family) -> int:
    """Return how many rows of a family are stored."""
    totals = ask_store(system, lambda store: store.totals())
    assert isinstance(totals, dict)
    return int(totals.get(family, 0))


def wait_stored(system: System, family: Family, rows: int, *, within_s: float = PATIENCE_S) -> None:
    """Wait until so many rows are stored; fails at once when there are more."""

    def reached() -> bool:
        try:
            now = stored_rows(system, family)
        except StoreUnavailable:  # it may be on its way back
            return False
        assert now <= rows, f"{now} rows of {family} are stored, more than the {rows} that were published"
        return now == rows

    system.wait(reached, f"not all {rows} rows of {family} were stored", within_s=within_s)
