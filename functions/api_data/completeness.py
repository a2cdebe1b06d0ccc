"""How much of what there should be an answer holds: rows over the slots from its first row to its last."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from common.models.rows import CandleRow, FundingRow
from common.timeframes import Timeframe
from common.times import HOUR_MS

# Hours between the funding times of a contract.
_INTERVALS: Final = (8, 4, 2, 1)
# A change of the interval is believed where otherwise more rows than this would be missing.
_CHANGE: Final = 2
# An interval is known by gaps at most so many gaps away.
_NEAR: Final = 2


def completeness(rows: Sequence[CandleRow], timeframe: Timeframe) -> float | None:
    """Return rows over candles that there should be, in percent with two decimals; ``None`` without rows.

    Args:
        rows: candles of one series in order of time, ascending or descending.
        timeframe: their interval.
    """
    if not rows:
        return None
    slots = abs(rows[-1].time_ms - rows[0].time_ms) // timeframe.duration_ms + 1
    return round(100 * len(rows) / slots, 2)


def funding_completeness(rows: Sequence[FundingRow], around: Sequence[FundingRow] = ()) -> float | None:
    """Return rows over funding times that there should be, in percent with two decimals; ``None`` without rows.

    The interval is the contract's own and may change. Where a row does not name the next funding time, it is read off
    the spacing: of all explanations of the gaps, the one counts that needs the fewest missing rows and changes.

    Args:
        rows: funding rates of one contract in any order.
        around: rows before and after them, which tell what the interval is at both ends.
    """
    if not rows:
        return None
    inside = {_hour(row.time_ms) for row in rows}
    known = {
        _hour(row.time_ms): _hour(row.next_funding_time_ms - row.time_ms)
        for row in (*around, *rows)
        if row.next_funding_time_ms is not None and row.next_funding_time_ms > row.time_ms
    }
    hours = sorted(inside | {_hour(row.time_ms) for row in around})
    first, last = min(inside), max(inside)
    ways = {0: (0, 0)}  # interval in force → what it costs to have come there, and the slots inside
    for (start, end), intervals in zip(pairwise(hours), _candidates(hours, known), strict=True):
        counted = first <= start < last
        ways = {
            interval: min(
                (cost + (interval != before) * _CHANGE + slots - 1, inside_slots + slots * counted)
                for before, (cost, inside_slots) in ways.items()
            )
            for interval in intervals
            for slots in (max(1, round((end - start) / interval)),)
        }
    return round(100 * len(inside) / (min(ways.values())[1] + 1), 2)


def _candidates(hours: Sequence[int], known: dict[int, int]) -> Iterator[Sequence[int]]:
    """Yield, for each gap, the intervals that may have been in force."""
    gaps = [end - start for start, end in pairwise(hours)]
    for number, start in enumerate(hours[:-1]):
        near = {*gaps[max(0, number - _NEAR) : number], *gaps[number + 1 : number + 1 + _NEAR]}
        fitting = [interval for interval in _INTERVALS if gaps[number] % interval == 0]
        seen = [interval for interval in fitting if interval in near]
        yield [known[start]] if known.get(start) else seen or fitting[:1]


def _hour(instant_ms: int) -> int:
    return round(instant_ms / HOUR_MS)
