"""Filters of Triggers as they are written, and what they refuse."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.broker.filters import FilterManifest, LegacyFilter

EVENT = {"type": "io.petrosa.market.trade.v1", "subject": "BTCUSDT", "count": "3", "empty": ""}


def passes(written: dict[str, Any], event: Mapping[str, str] = EVENT) -> bool:
    return msgspec.convert(written, FilterManifest).to_filter().matches(event)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"exact": {"subject": "BTCUSDT"}}, True),
        ({"exact": {"subject": "btcusdt"}}, False),
        ({"exact": {"subject": "BTCUSDT", "count": "4"}}, False),
        ({"exact": {"nothing": "x"}}, False),
        ({"prefix": {"type": "io.petrosa.", "subject": "BTC"}}, True),
        ({"prefix": {"type": "petrosa"}}, False),
        ({"suffix": {"subject": "USDT"}}, True),
        ({"suffix": {"nothing": "x"}}, False),
        ({"all": [{"exact": {"subject": "BTCUSDT"}}, {"suffix": {"type": ".v1"}}]}, True),
        ({"all": [{"exact": {"subject": "BTCUSDT"}}, {"suffix": {"type": ".v2"}}]}, False),
        ({"any": [{"exact": {"subject": "ETHUSDT"}}, {"suffix": {"type": ".v1"}}]}, True),
        ({"any": [{"exact": {"subject": "ETHUSDT"}}]}, False),
        ({"not": {"exact": {"subject": "ETHUSDT"}}}, True),
        ({"not": {"not": {"exact": {"subject": "ETHUSDT"}}}}, False),
        ({"cesql": "count > 2"}, True),
        ({"cesql": "count > 3"}, False),
        ({"cesql": "nothing = 'x'"}, False),
        ({"not": {"cesql": "nothing = 'x'"}}, True),
    ],
)
def test_each_dialect_passes_what_it_describes(written: dict[str, Any], expected: bool) -> None:
    assert passes(written) is expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, True),
        ({"subject": "BTCUSDT"}, True),
        ({"subject": ""}, True),
        ({"subject": "ETHUSDT"}, False),
        ({"nothing": ""}, False),
        ({"empty": "x"}, False),
    ],
)
def test_the_older_filter_takes_an_empty_value_for_any(wanted: dict[str, str], expected: bool) -> None:
    assert LegacyFilter(wanted).to_filter().matches(EVENT) is expected


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"exact": {"type": "a"}, "prefix": {"type": "b"}},
        {"exact": {}},
        {"exact": {"type": ""}},
        {"exact": {"Type": "a"}},
        {"exact": {"my-ext": "a"}},
        {"exact": {"type": 1}},
        {"all": []},
        {"any": [{}]},
        {"not": {"regex": "a"}},
        {"cesql": "type = "},
        {"cesql": "UNKNOWN(type)"},
        {"regex": {"type": "a"}},
    ],
    ids=str,
)
def test_what_is_no_filter_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(written, FilterManifest)


EVENTS = st.dictionaries(st.sampled_from(["type", "subject", "market"]), st.text("ab", max_size=3), max_size=3)
WANTED = st.dictionaries(st.sampled_from(["type", "subject"]), st.text("ab", min_size=1, max_size=2), min_size=1)


@given(EVENTS, WANTED, WANTED)
def test_the_dialects_agree_with_each_other(event: dict[str, str], one: dict[str, str], two: dict[str, str]) -> None:
    first, second = {"exact": one}, {"prefix": two}
    assert passes({"not": first}, event) is not passes(first, event)
    assert passes({"all": [first, second]}, event) is (passes(first, event) and passes(second, event))
    assert passes({"any": [first, second]}, event) is (passes(first, event) or passes(second, event))
    sql = " AND ".join(f"{name} = '{value}'" for name, value in one.items())
    assert passes({"cesql": sql}, event) is passes(first, event)
    assert LegacyFilter(one).to_filter().matches(event) is passes(first, event)
    if passes(first, event):
        assert passes({"prefix": one}, event)
        assert passes({"suffix": one}, event)
