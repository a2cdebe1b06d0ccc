"""Instants, timeframes, symbols, clocks."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clock import FixedClock, ShiftedClock, SystemClock, clock_from
from common.errors import ConfigurationError, InvalidRequest
from common.symbols import is_symbol, parse_symbol, parse_symbols
from common.timeframes import Timeframe
from common.times import parse_instant, to_iso


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_iso_text_reads_back_and_agrees_with_the_standard_library(instant_ms: int) -> None:
    text = to_iso(instant_ms)
    assert parse_instant(text) == instant_ms
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(instant_ms // 1000, UTC).replace(
        microsecond=instant_ms % 1000 * 1000
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-10-20T12:00:00Z", "2025-10-20T12:00:00.000Z"),
        ("2025-10-20T12:00:00", "2025-10-20T12:00:00.000Z"),
        ("2025-10-20T14:00:00+02:00", "2025-10-20T12:00:00.000Z"),
        ("2025-10-20T14:00:00 02:00", "2025-10-20T12:00:00.000Z"),
        ("2025-10-20", "2025-10-20T00:00:00.000Z"),
        ("1760961600", "2025-10-20T12:00:00.000Z"),
        ("1760961600000", "2025-10-20T12:00:00.000Z"),
        ("1760961600.5", "2025-10-20T12:00:00.500Z"),
    ],
)
def test_instants_in_every_accepted_form(text: str, expected: str) -> None:
    assert to_iso(parse_instant(text)) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "2025-13-01", "9" * 30, "-5", "1e5", "99999999999999999", "٣", "NaN", "inf"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_durations_agree_with_pandas(timeframe: Timeframe) -> None:
    text = timeframe.replace("m", "min").replace("d", "D")
    assert pd.Timedelta(text) // pd.Timedelta("1ms") == timeframe.duration_ms
    assert timeframe.bars_per_year * timeframe.duration_ms == 365 * 86_400_000


@given(st.sampled_from(list(Timeframe)), st.integers(min_value=0, max_value=4_000_000_000_000))
def test_floor_and_ceil_enclose_the_instant(timeframe: Timeframe, instant_ms: int) -> None:
    low, high = timeframe.floor(instant_ms), timeframe.ceil(instant_ms)
    assert low <= instant_ms <= high
    assert low % timeframe.duration_ms == 0
    assert high - low in {0, timeframe.duration_ms}


def test_an_unknown_timeframe_names_the_accepted_ones() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Timeframe.parse("7m")
    assert caught.value.field == "period"
    assert "15m" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["../../etc", "", "B", "X" * 31, "BTC USDT", "BTC-USDT", "UNKNOWN", "ＢＴＣ", "!TICKER"]
)
def test_what_cannot_name_a_pair_is_refused(text: str) -> None:
    assert not is_symbol(text)
    with pytest.raises(InvalidRequest):
        parse_symbol(text)


def test_symbols_are_trimmed_raised_and_listed_once() -> None:
    assert parse_symbols(" btcusdt, ETHUSDT,btcusdt ") == ["BTCUSDT", "ETHUSDT"]
    with pytest.raises(InvalidRequest):
        parse_symbols(" , ")


def test_a_shifted_clock_starts_at_the_instant_and_runs_at_the_real_rate() -> None:
    clock = clock_from("2025-12-31T23:59:00Z")
    start_ms = parse_instant("2025-12-31T23:59:00Z")
    assert start_ms <= clock.now_ms() < start_ms + 5_000


def test_a_clock_handed_on_with_its_anchor_goes_on_with_the_same_day() -> None:
    anchor_ms = SystemClock().now_ms() - 60_000
    clock = clock_from(f"2025-12-31T23:59:00Z@{to_iso(anchor_ms)}")
    assert isinstance(clock, ShiftedClock)
    assert 60_000 <= clock.now_ms() - parse_instant("2025-12-31T23:59:00Z") < 65_000


@pytest.mark.parametrize("setting", ["tomorrow", "@", "2025-12-31T23:59:00Z@then"])
def test_a_clock_of_no_instant_is_refused_by_name(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="PETROSA_CLOCK: expected an instant"):
        clock_from(setting)


def test_a_fixed_clock_moves_only_when_told() -> None:
    clock = FixedClock(5)
    assert clock.now_ms() == 5
    clock.advance(10)
    assert clock.now_ms() == 15
