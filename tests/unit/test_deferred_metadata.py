"""The metadata store that opens at its first use: when it loads its library, and that it really asks the store."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from common.errors import ConfigurationError, StoreUnavailable
from common.settings import Settings
from common.storage.deferred import DeferredMetadata, defer_metadata_store
from common.storage.open import open_metadata_store
from common.storage.ports import MetadataStore
from tests.support.sqlite_files import locked

ROOT = Path(__file__).resolve().parents[2]
FILE = "metadata.db"
PROGRAM = """
import asyncio, sys
from pathlib import Path
from common.settings import Settings
from common.storage.deferred import defer_metadata_store

async def scenario():
    metadata = await defer_metadata_store(Settings(petrosa_data_dir=Path(sys.argv[1])))
    await metadata.ping()
    before = "sqlalchemy" in sys.modules
    store = await metadata.open()
    assert await store.watermark("kept") == 7
    await metadata.ping()
    await metadata.close()
    print(before, "sqlalchemy" in sys.modules)

asyncio.run(scenario())
"""


def settings_of(folder: Path) -> Settings:
    return Settings(petrosa_data_dir=folder, store_busy_timeout_ms=100)


async def make_file(folder: Path) -> None:
    store = await open_metadata_store(settings_of(folder))
    await store.advance_watermark("kept", None, 7)
    await store.close()


def test_a_file_that_answers_is_ready_before_the_library_loads(tmp_path: Path) -> None:
    asyncio.run(make_file(tmp_path))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split() == ["False", "True"]


def test_the_first_start_makes_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        metadata = await defer_metadata_store(settings_of(tmp_path / "state"))
        assert (tmp_path / "state" / FILE).exists()
        await metadata.ping()
        await metadata.close()

    asyncio.run(scenario())


def test_a_file_of_a_newer_program_keeps_the_process_from_starting(tmp_path: Path) -> None:
    async def scenario() -> None:
        await make_file(tmp_path)
        connection = sqlite3.connect(tmp_path / FILE)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(ConfigurationError, match="99"):
            await defer_metadata_store(settings_of(tmp_path))

    asyncio.run(scenario())


def test_a_file_that_is_lost_or_damaged_is_not_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        await make_file(tmp_path)
        metadata = await defer_metadata_store(settings_of(tmp_path))
        await metadata.ping()
        (tmp_path / FILE).write_bytes(b"no database" * 500)
        with pytest.raises(StoreUnavailable):
            await metadata.ping()
        await metadata.close()

    asyncio.run(scenario())


def test_asking_neither_waits_for_a_writer_nor_is_in_its_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        await make_file(tmp_path)
        metadata = await defer_metadata_store(settings_of(tmp_path))
        with locked(tmp_path / FILE):
            await metadata.ping()
        store = await metadata.open()
        assert await store.advance_watermark("kept", 7, 8)
        await metadata.close()

    asyncio.run(scenario())


class Store:
    """A store that counts how often it is asked, and closed."""

    def __init__(self) -> None:
        self.pings = self.closed = 0

    async def ping(self, *, write: bool = False) -> None:
        self.pings += 1

    async def close(self) -> None:
        self.closed += 1


def test_it_is_opened_once_for_all_who_ask_at_once_and_again_after_a_failure() -> None:
    store, attempts = Store(), [0]

    async def opener() -> MetadataStore:
        attempts[0] += 1
        await asyncio.sleep(0)
        if attempts[0] == 1:
            raise StoreUnavailable("away")
        return cast("MetadataStore", store)

    async def scenario() -> None:
        metadata = DeferredMetadata(opener)
        await metadata.close()
        with pytest.raises(StoreUnavailable):
            await metadata.ping()
        await asyncio.gather(*(metadata.ping() for _ in range(5)))
        await metadata.close()

    asyncio.run(scenario())
    assert (attempts[0], store.pings, store.closed) == (2, 5, 1)
