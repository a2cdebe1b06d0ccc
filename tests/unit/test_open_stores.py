"""How the settings choose the stores, and that a store which is away does not keep a process from starting."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ConfigurationError, StoreUnavailable
from common.models.families import Family
from common.settings import Settings
from common.storage.open import open_analytics_store, open_market_store, open_metadata_store
from common.storage.ports import WriteCounts
from tests.support.mongo_stores import collect_sockets
from tests.support.sqlite_files import locked
from tests.support.store_rows import TRADES, put, trade


def test_without_servers_the_embedded_stores_are_opened(tmp_path: Path) -> None:
    settings = Settings(petrosa_data_dir=tmp_path / "state")

    async def scenario() -> None:
        market = await open_market_store(settings)
        analytics = await open_analytics_store(settings)
        metadata = await open_metadata_store(settings)
        assert (market.name, analytics.name, metadata.name) == ("sqlite", "sqlite", "sqlite")
        for store in (market, analytics, metadata):
            await store.ping(write=True)
            await store.close()

    asyncio.run(scenario())
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["market.db", "metadata.db"]


def test_servers_that_the_settings_name_are_opened_also_while_they_are_away(tmp_path: Path) -> None:
    settings = Settings(
        petrosa_data_dir=tmp_path,
        mongodb_url="mongodb://127.0.0.1:1/petrosa",
        mongodb_timeout_ms=300,
        mysql_host="127.0.0.1",
        mysql_port=1,
    )

    async def scenario() -> None:
        market = await open_market_store(settings)
        analytics = await open_analytics_store(settings)
        metadata = await open_metadata_store(settings)
        assert (market.name, analytics.name, metadata.name) == ("mongodb", "mongodb", "mysql")
        for store in (market, analytics, metadata):
            with pytest.raises(StoreUnavailable):
                await store.ping()
            await store.close()

    asyncio.run(scenario())
    collect_sockets()
    assert list(tmp_path.iterdir()) == []


def test_addresses_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    wrong = Settings(petrosa_data_dir=tmp_path, mongodb_url="http://127.0.0.1/", mysql_uri="postgresql://127.0.0.1/x")
    with pytest.raises(ConfigurationError, match="MONGODB_URL"):
        asyncio.run(open_market_store(wrong))
    with pytest.raises(ConfigurationError, match="MONGODB_URL"):
        asyncio.run(open_analytics_store(wrong))
    with pytest.raises(ConfigurationError, match="MYSQL_URI"):
        asyncio.run(open_metadata_store(wrong))


def test_the_parts_of_an_address_make_it_whole() -> None:
    parts = Settings(mongodb_host="db", mongodb_user="me", mongodb_password="p@ss/word")
    assert parts.mongodb_address == "mongodb://me:p%40ss%2Fword@db:27017/"
    assert Settings(mongodb_host="db").mongodb_address == "mongodb://db:27017/"
    assert Settings(mongodb_url="mongodb://one/", mongodb_host="db").mongodb_address == "mongodb://one/"
    assert Settings(mongodb_host="::1").mongodb_address == "mongodb://[::1]:27017/"
    assert Settings().mongodb_address is None
    assert "p@ss" not in repr(parts)


def test_a_store_that_is_away_is_opened_and_works_when_it_is_back(tmp_path: Path) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where the folder should be")
    settings = Settings(petrosa_data_dir=blocked, circuit_breaker_recovery_timeout=240)

    async def scenario() -> None:
        market = await open_market_store(settings)
        metadata = await open_metadata_store(settings)
        with pytest.raises(StoreUnavailable, match="PETROSA_DATA_DIR"):
            await put(market, Family.TRADES, [trade(1)])
        with pytest.raises(StoreUnavailable, match="PETROSA_DATA_DIR"):
            await metadata.watermark("slots")
        blocked.unlink()
        assert await put(market, Family.TRADES, [trade(1)]) == WriteCounts(inserted=1)
        assert await metadata.advance_watermark("slots", None, 1)
        await market.close()
        await metadata.close()

    asyncio.run(scenario())


def test_a_locked_store_is_left_alone_and_a_ping_brings_it_back(tmp_path: Path) -> None:
    settings = Settings(
        petrosa_data_dir=tmp_path,
        store_busy_timeout_ms=20,
        circuit_breaker_failure_threshold=3,
        circuit_breaker_recovery_timeout=600,
    )

    async def scenario() -> None:
        market = await open_market_store(settings)
        with locked(tmp_path / "market.db"):
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="locked"):
                    await put(market, Family.TRADES, [trade(1)])
            with pytest.raises(StoreUnavailable, match="left alone") as caught:
                await put(market, Family.TRADES, [trade(1)])
            assert 590 < caught.value.retry_after_s <= 600
            assert await market.revision(TRADES) is not None
        await market.ping(write=True)
        assert await put(market, Family.TRADES, [trade(1)]) == WriteCounts(inserted=1)
        await market.close()

    asyncio.run(scenario())


def test_opening_market_data_loads_no_database_of_others(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from common.settings import Settings;"
        "from common.storage.open import open_market_store;"
        "store = asyncio.run(open_market_store(Settings(petrosa_data_dir=Path(sys.argv[1]))));"
        "print({'numpy', 'pymongo', 'pymysql', 'sqlalchemy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert run.stdout.strip() == "set()"
