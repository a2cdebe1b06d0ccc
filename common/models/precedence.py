"""Which of two rows of one key wins: the rule of candles and funding rates, the same for every store.

The rule stands in design.md, "Which candle wins". Rows of one key are put in a total order, so whatever way they are
delivered, repeated, mixed or split into batches, the greatest of them is what stays stored. The order is that of the
evidence; rows of equal evidence and different content (the same source contradicting itself about the same instant) are
ordered by the number of trades that they saw and then by their texts, which is arbitrary and always the same. A
correction must therefore carry a later ``event_time_ms`` than what it corrects.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from common.models.rows import CandleRow, FundingRow

Row = TypeVar("Row", bound=tuple[Any, ...])
Ordered = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Precedence(Generic[Row]):
    """How rows of one family compete.

    Attributes:
        key: what identifies a row; rows of different keys do not compete.
        rank: the greater of two rows of one key wins.
        content: what a reader of the row sees; equal content is nothing new.
        succeed: the row to store when a winner replaces what is stored.
    """

    key: Callable[[Row], Ordered]
    rank: Callable[[Row], Ordered]
    content: Callable[[Row], Ordered]
    succeed: Callable[[Row, Row | None], Row]

    def winners(self, rows: Iterable[Row]) -> dict[Ordered, Row]:
        """Return the greatest row of each key."""
        best: dict[Ordered, Row] = {}
        for row in rows:
            key = self.key(row)
            rival = best.get(key)
            if rival is None or self.rank(row) > self.rank(rival):
                best[key] = row
        return best

    def replacement(self, stored: Row | None, incoming: Row) -> "Replacement[Row] | None":
        """Return what to store instead of ``stored``, or None when ``incoming`` does not win."""
        if stored is None:
            return Replacement(self.succeed(incoming, None), is_new=True, is_change=True)
        if self.rank(incoming) <= self.rank(stored):
            return None
        changed = self.content(incoming) != self.content(stored)
        return Replacement(self.succeed(incoming, stored), is_new=False, is_change=changed)


class Replacement(NamedTuple, Generic[Row]):
    """A row to store. One without a change only carries later evidence for the same content."""

    row: Row
    is_new: bool
    is_change: bool


def _texts(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(value or "" for value in values)


def _candle_key(row: CandleRow) -> Ordered:
    return (row.symbol, row.timeframe, row.time_ms)


def _candle_content(row: CandleRow) -> Ordered:
    return row[3:13]  # open … is_closed: all but the key, the evidence and the revision


def _candle_rank(row: CandleRow) -> Ordered:
    # The origin decides first among closed candles only; an open one is as good as its time.
    trust = row.origin if row.is_closed else 0
    trades = -1 if row.trades_count is None else row.trades_count
    numbers = (*row[3:9], row.taker_buy_volume, row.taker_buy_quote_volume)
    return (row.is_closed, trust, row.event_time_ms, row.origin, trades, *_texts(numbers))


def _candle_successor(incoming: CandleRow, stored: CandleRow | None) -> CandleRow:
    revision = 0
    if stored is not None:
        corrected = stored.is_closed and _candle_content(incoming) != _candle_content(stored)
        revision = stored.revision + (1 if corrected else 0)
    return incoming if incoming.revision == revision else incoming._replace(revision=revision)


def _funding_key(row: FundingRow) -> Ordered:
    return (row.symbol, row.time_ms)


def _funding_content(row: FundingRow) -> Ordered:
    return (row.funding_rate, row.mark_price, row.next_funding_time_ms)


def _funding_rank(row: FundingRow) -> Ordered:
    texts = _texts((row.funding_rate, row.mark_price))
    return (row.origin, row.event_time_ms, row.next_funding_time_ms or 0, *texts)


def _funding_successor(incoming: FundingRow, _stored: FundingRow | None) -> FundingRow:
    return incoming


CANDLES: Final[Precedence[CandleRow]] = Precedence(_candle_key, _candle_rank, _candle_content, _candle_successor)
FUNDING: Final[Precedence[FundingRow]] = Precedence(_funding_key, _funding_rank, _funding_content, _funding_successor)
