"""What a run is started with."""

from pathlib import Path

import pytest

from common.clock import clock_from
from common.errors import ConfigurationError
from common.times import parse_instant
from infra.local.runner.configuration import part_environment, run_options
from infra.local.runner.state_folder import StateFolder, StateMark


def test_every_feed_has_its_own_folder_and_origin() -> None:
    simulated, none = run_options("simulate", isolate=False), run_options("none", isolate=False)
    assert simulated.data_dir != none.data_dir
    assert simulated.mark == StateMark("um", "simulated")
    assert none.mark != simulated.mark
    assert (simulated.project_dir / "functions").is_dir()


def test_settings_come_from_the_environment_and_empty_ones_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETROSA_HTTP_PORT", "9090")
    monkeypatch.setenv("PETROSA_DATA_DIR", "some/folder")
    monkeypatch.setenv("PETROSA_MARKET", "spot")
    for name in ("NATS_URL", "PETROSA_NATS_PORT", "PETROSA_CLOCK"):
        monkeypatch.setenv(name, "")
    options = run_options("none", isolate=False)
    assert options.url == "http://127.0.0.1:9090"
    assert options.data_dir == Path("some/folder").absolute()
    assert options.nats_url == "nats://127.0.0.1:4222"
    assert options.market == "spot"
    assert options.clock is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PETROSA_HTTP_PORT", "0"),
        ("PETROSA_NATS_PORT", "x"),
        ("PETROSA_MONGODB_PORT", "65536"),
        ("PETROSA_MYSQL_PORT", "x"),
        ("PETROSA_MARKET", "coin"),
        ("PETROSA_CLOCK", "noon"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        run_options("none", isolate=False)


def test_an_unknown_feed_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="simulate, none"):
        run_options("kraken", isolate=False)


def test_the_clock_is_anchored_once_so_that_a_later_process_goes_on_with_the_same_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PETROSA_CLOCK", "2025-12-31T23:59:00Z")
    clock = run_options("none", isolate=False).clock
    assert clock is not None
    start = clock.partition("@")[0]
    assert parse_instant(start) == parse_instant("2025-12-31T23:59:00Z")
    first, later = clock_from(clock), clock_from(clock)
    assert 0 <= later.now_ms() - first.now_ms() < 1000
    monkeypatch.setenv("PETROSA_CLOCK", clock)
    assert run_options("none", isolate=False).clock == clock, "an anchored clock stays as it is"


MONGODB = {"MONGODB_URL": "mongodb://u:hidden@h/"}
MYSQL = {"MYSQL_HOST": "h", "MYSQL_PASSWORD": "hidden"}


@pytest.mark.parametrize(
    ("stores", "given", "kind"),
    [
        ("embedded", {}, "embedded"),
        ("servers", {}, "servers"),
        ("embedded", MONGODB, "mongodb"),
        ("embedded", MYSQL, "mysql"),
        ("embedded", MONGODB | MYSQL, "servers"),
        ("servers", MONGODB, "servers"),
    ],
)
def test_an_address_is_used_whatever_stores_are_chosen_and_each_kind_has_its_own_folder(
    monkeypatch: pytest.MonkeyPatch, stores: str, given: dict[str, str], kind: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    options = run_options("none", isolate=False, stores=stores)
    assert options.mark == StateMark("um", "external", kind)
    assert options.data_dir.name == ("none" if kind == "embedded" else f"none-{kind}")
    assert "hidden" not in repr(options)


def test_unknown_stores_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="STORES: expected one of embedded, servers"):
        run_options("none", isolate=False, stores="clouds")


def environment(tmp_path: Path, base: dict[str, str], **stores: str) -> dict[str, str]:
    options = run_options("none", isolate=False)
    return part_environment(options, StateFolder(tmp_path), {"BRIDGE_HEALTH_URL": "http://b", **stores}, base)


def test_parts_are_told_where_the_servers_of_the_run_are(tmp_path: Path) -> None:
    found = environment(tmp_path, {"MONGODB_URL": ""}, MONGODB_URL="mongodb://own/", MYSQL_URI="mysql://own/d")
    assert found["MONGODB_URL"] == "mongodb://own/"
    assert found["MYSQL_URI"] == "mysql://own/d"


def test_parts_get_the_users_settings_and_the_addresses_of_the_run(tmp_path: Path) -> None:
    found = environment(tmp_path, {"SUPPORTED_PAIRS": "BTCUSDT", "PETROSA_DATA_DIR": "relative", "K_SINK": "elsewhere"})
    assert found["SUPPORTED_PAIRS"] == "BTCUSDT"
    assert found["PETROSA_DATA_DIR"] == str(tmp_path)
    assert "K_SINK" not in found, "a SinkBinding gives it, and to its subjects alone"
    assert found["BRIDGE_HEALTH_URL"] == "http://b"
    assert found["NATS_URL"] == "nats://127.0.0.1:4222"
    assert found["PETROSA_MARKET"] == "um"


def test_a_store_is_tried_again_soon_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    name = "CIRCUIT_BREAKER_RECOVERY_TIMEOUT"
    assert environment(tmp_path, {})[name] == "2"
    assert environment(tmp_path, {name: "30"})[name] == "30"


def test_a_wrong_setting_of_the_system_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANALYTICS_INTERVAL", "soon")
    with pytest.raises(ConfigurationError, match="ANALYTICS_INTERVAL"):
        environment(tmp_path, {})
