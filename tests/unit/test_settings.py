"""Settings: names, defaults, and errors that tell the operator what to change."""

import re
from pathlib import Path

import pytest

from common.errors import ConfigurationError
from common.settings import Settings, duration_ms, load_settings
from common.timeframes import Timeframe

ROOT = Path(__file__).resolve().parents[2]
OF_THE_RUNNER = {
    *("FEED", "PETROSA_HTTP_PORT", "PETROSA_NATS_PORT"),
    *("STORES", "PETROSA_MONGODB_PORT", "PETROSA_MYSQL_PORT"),
}


def test_the_example_lists_every_variable_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = dict(
        re.findall(r"^([A-Z0-9_]+)=([^#\n]*?)\s*(?:#.*)?$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    )
    assert set(listed) - OF_THE_RUNNER == {name.upper() for name in Settings.model_fields}
    defaults = Settings()
    for name, value in listed.items():
        if value:
            monkeypatch.setenv(name, value)
    assert Settings() == defaults


def test_lists_are_split_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPPORTED_PAIRS", "BTCUSDT, ETHUSDT ,BTCUSDT")
    monkeypatch.setenv("ANALYTICS_TIMEFRAMES", "5m,1d")
    settings = load_settings()
    assert settings.supported_pairs == ("BTCUSDT", "ETHUSDT")
    assert settings.analytics_timeframes == (Timeframe.M5, Timeframe.D1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("SUPPORTED_PAIRS", "BTC/USDT"),
        ("TIMEFRAMES", "7m"),
        ("PETROSA_MARKET", "margin"),
        ("PETROSA_COMPAT", "everybody"),
        ("PETROSA_RETENTION_TRADE", "a week"),
        ("ANALYTICS_INTERVAL", "-1"),
    ],
)
def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90_000), ("90s", 90_000), ("15m", 900_000), ("12h", 43_200_000), ("7d", 604_800_000)]
)
def test_lengths_of_time(text: str, expected: int) -> None:
    assert duration_ms(text) == expected


@pytest.mark.parametrize("text", ["", "d", "0s", "-1d", "1.5h", "week"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="length of time"):
        duration_ms(text)


def test_retention_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETROSA_RETENTION_DEPTH", "forever")
    assert load_settings().petrosa_retention_depth is None


def test_the_mysql_address_is_built_from_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().mysql_url is None
    monkeypatch.setenv("MYSQL_HOST", "db")
    monkeypatch.setenv("MYSQL_PASSWORD", "p@ss/word")
    assert load_settings().mysql_url == (
        "mysql+pymysql://root:p%40ss%2Fword@db:3306/petrosa_data_manager?charset=utf8mb4"
    )
    monkeypatch.setenv("MYSQL_URI", "mysql+pymysql://u:p@h:1/d")
    assert load_settings().mysql_url == "mysql+pymysql://u:p@h:1/d"
