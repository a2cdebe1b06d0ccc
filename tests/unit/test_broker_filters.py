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
    assert LegacyFilter(one).to_filter().matches(event) is passes(first, event)
    if passes(first, event):
        assert passes({"prefix": one}, event)
        assert passes({"suffix": one}, event)
