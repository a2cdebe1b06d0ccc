"""Completeness of funding rates: the grid is the contract's own interval; recorded rates are the judge."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import accumulate
from pathlib import Path

import pytest

from common.models.rows import FundingRow, Origin
from common.times import HOUR_MS
from functions.api_data.completeness import funding_completeness


def rows(times: Sequence[int], next_times: dict[int, int] | None = None) -> list[FundingRow]:
    known = next_times or {}
    return [FundingRow("BTCUSDT", at, "0.0001", None, known.get(at), at, Origin.REST) for at in times]


def spaced(*segments: tuple[int, int]) -> list[int]:
    """Return funding times: so many gaps of so many hours, one segment after the other."""
    gaps = [hours * HOUR_MS for hours, count in segments for _ in range(count)]
    return list(accumulate(gaps, initial=0))


def share(times: Sequence[int], missing: Collection[int]) -> float | None:
    """Return what is said when some of the times, by position, are missing."""
    return funding_completeness(rows([at for number, at in enumerate(times) if number not in missing]))


def test_recorded_rates_are_complete_and_lose_as_much_as_is_taken_away(recorded_data: Path) -> None:
    with gzip.open(recorded_data / "funding" / "um_fundingRate_5symbols_2026-01_2026-03.csv.gz", "rt") as text:
        recorded: dict[str, list[int]] = defaultdict(list)
        for row in csv.DictReader(text):
            recorded[row["symbol"]].append(int(row["fundingTime"]))  # as published, some milliseconds off the hour
    assert len(recorded) == 5
    for times in recorded.values():
        assert share(times, ()) == 100
        lost = {3, 50, 51, 120}
        assert share(times, lost) == round(100 * (len(times) - len(lost)) / len(times), 2)


def test_four_years_of_recorded_rates_are_complete(recorded_data: Path) -> None:
    with gzip.open(recorded_data / "funding" / "um_fundingRate_BTCUSDT_2020_2023.csv.gz", "rt") as text:
        times = [int(row["fundingTime"]) for row in csv.DictReader(text)]
    assert share(times, ()) == 100
    assert share(times, range(1000, 1100)) == round(100 * (len(times) - 100) / len(times), 2)


@pytest.mark.parametrize("hours", [1, 2, 4, 8])
@pytest.mark.parametrize("missing", [(), (1,), (5, 20, 21, 22, 40), tuple(range(20, 27))])
def test_one_interval(hours: int, missing: tuple[int, ...]) -> None:
    times = spaced((hours, 60))
    assert share(times, missing) == round(100 * (61 - len(missing)) / 61, 2)


@pytest.mark.parametrize(
    "segments",
    [
        ((8, 20), (4, 40)),
        ((4, 40), (8, 20)),
        ((8, 9), (1, 24), (4, 18)),
        ((8, 2), (4, 2)),
        ((1, 30), (8, 30)),
    ],
)
def test_an_interval_that_changes_inside(segments: tuple[tuple[int, int], ...]) -> None:
    times = spaced(*segments)
    assert share(times, ()) == 100
    if len(times) > 20:
        missing = {4, len(times) - 5}
        assert share(times, missing) == round(100 * (len(times) - 2) / len(times), 2)


def test_a_row_that_names_the_next_funding_time_decides() -> None:
    first, second, third = 0, 8 * HOUR_MS, 16 * HOUR_MS
    assert funding_completeness(rows([first, second, third])) == 100
    four_hours = {first: 4 * HOUR_MS, second: second + 4 * HOUR_MS}
    assert funding_completeness(rows([first, second, third], four_hours)) == 60


def test_rows_around_tell_the_interval_at_the_ends_and_do_not_count() -> None:
    everything = rows(spaced((4, 20)))
    inside = [everything[9], everything[11]]
    assert funding_completeness(inside) == 100, "of themselves, two rows tell nothing of what is between them"
    assert funding_completeness(inside, [*everything[5:9], *everything[12:16]]) == 66.67
    assert funding_completeness(everything[::-1]) == 100
    assert funding_completeness(inside[:1]) == 100
    assert funding_completeness([]) is None
