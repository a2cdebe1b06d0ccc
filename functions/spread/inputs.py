"""What spread is computed from: the order books of the last minute, and the hourly candles of the last day."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from common.analytics.declaration import Metric
from common.analytics.window import Missing
from common.errors import InvalidEvent
from common.events.own import AnalyticsRequested
from common.indicators.order_book import LevelText
from common.models.families import Family, Series
from common.models.rows import DepthRow
from common.storage.columns import CandleColumns
from common.storage.ports import MarketStore, Window
from common.timeframes import Timeframe
from common.times import HOUR_MS, MINUTE_MS

# A book that is older than this says nothing about trading now; the flow of orders is that of as long a time.
BOOK_AGE_MS: Final = MINUTE_MS
# Ten times what the fastest stream of books publishes in that time.
_MOST_BOOKS: Final = 6_000
HOURS_PER_DAY: Final = 24
# A day of candles, and room for the newest one that is still on its way, and for one that is missing.
_HOURS_READ: Final = HOURS_PER_DAY + 2

_levels: Final = msgspec.json.Decoder(tuple[LevelText, ...]).decode


@dataclass(frozen=True, slots=True)
class Book:
    """A stored order book: price and quantity of each level as the exchange wrote them, the best level first."""

    time_ms: int
    bids: tuple[LevelText, ...]
    asks: tuple[LevelText, ...]

    @property
    def is_tradable(self) -> bool:
        """Whether both sides have levels and the best bid is below the best ask."""
        return bool(self.bids and self.asks) and Decimal(self.bids[0][0]) < Decimal(self.asks[0][0])


@dataclass(frozen=True, slots=True)
class SpreadInputs:
    """The tradable books of the last minute, oldest first, and the hourly candles of about a day, perhaps none."""

    symbol: str
    books: tuple[Book, ...]
    hours: CandleColumns


async def load(store: MarketStore, _metric: Metric, request: AnalyticsRequested) -> SpreadInputs | Missing:
    """Read the inputs, or tell why there can be no document: no book of the last minute, or an unusable newest one.

    Raises:
        InvalidEvent: the request names a timeframe, or several pairs.
    """
    symbol, as_of_ms = request.one_symbol(), request.as_of_ms
    if request.timeframe is not None:
        raise InvalidEvent("timeframe", "none: a book has no timeframe", request.timeframe.value)
    last_minute = Window(as_of_ms - BOOK_AGE_MS, as_of_ms + 1, limit=_MOST_BOOKS, order="desc")
    found = await store.page(Series(Family.DEPTH, symbol), last_minute, counted=False)
    books = [_book(row) for row in found.rows]
    if not books:
        return Missing.STALE
    if not books[0].is_tradable:
        return Missing.UNUSABLE_BOOK
    first_ms = Timeframe.H1.floor(as_of_ms) - _HOURS_READ * HOUR_MS
    candles = Series(Family.CANDLES, symbol, Timeframe.H1)
    hours = await store.columns(candles, end_ms=as_of_ms, start_ms=first_ms)
    return SpreadInputs(symbol, tuple(book for book in reversed(books) if book.is_tradable), hours)


def _book(row: DepthRow) -> Book:
    return Book(row.time_ms, _levels(row.bids), _levels(row.asks))
