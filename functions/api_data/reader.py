"""Reads what the routes serve and encodes it. An answer that was given before is given again while it is true."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from common.clock import Clock
from common.host.answers import Compat, pagination
from common.models.families import Family, Series
from common.storage.ports import MarketStore, Page, Window
from common.times import to_iso
from functions.api_data.answers import Answers, Validity
from functions.api_data.completeness import completeness, funding_completeness
from functions.api_data.queries import CandlesQuery, PairQuery, SeriesQuery, TradesQuery
from functions.api_data.revision import SharedRevisions
from functions.api_data.values import VALUES

_KEPT_BYTES: Final = 16 * 1024 * 1024
_LEVELS: Final = 20
_AROUND: Final = 4  # rows before and after an answer, to tell the interval of a contract at both ends
_CLOSING: Final = b'"}}'  # of parameters.end, parameters and the answer
_levels: Final = msgspec.json.Decoder(list[tuple[str, str]])


class MarketReader:
    """Answers questions about market data with JSON text.

    Every method raises ``StoreUnavailable`` when the store cannot be asked, also for an answer that was given before.
    """

    def __init__(
        self, store: MarketStore, clock: Clock, compat: Compat | None = None, *, kept_bytes: int = _KEPT_BYTES
    ) -> None:
        self._store = store
        self._clock = clock
        self._compat = compat or Compat()
        self._answers = Answers(kept_bytes)
        self._revisions = SharedRevisions(store)

    async def candles(self, query: CandlesQuery) -> bytes:
        """Return candles by open time, the open one included."""
        return await self._rows(Family.CANDLES, query)

    async def trades(self, query: TradesQuery) -> bytes:
        """Return trades, or aggregated trades."""
        return await self._rows(Family.AGG_TRADES if query.aggregated else Family.TRADES, query)

    async def tickers(self, query: SeriesQuery) -> bytes:
        """Return 24-hour tickers."""
        return await self._rows(Family.TICKERS, query)

    async def mark_prices(self, query: SeriesQuery) -> bytes:
        """Return mark prices."""
        return await self._rows(Family.MARK_PRICES, query)

    async def funding_rates(self, query: SeriesQuery) -> bytes:
        """Return funding rates by funding time."""
        return await self._rows(Family.FUNDING_RATES, query)

    async def depth(self, query: PairQuery) -> bytes:
        """Return the newest order book.

        Raises:
            NotFound: no book of the pair is stored.
        """
        series = Series(Family.DEPTH, query.pair)
        books = (await self._store.page(series, Window(limit=1), counted=False)).rows
        subject = {"pair": query.pair, "parameters": {"pair": query.pair}}
        metadata = {"source": self._store.name, "collection": series.dataset_id}
        if not books:
            metadata["timestamp"] = to_iso(self._clock.now_ms())
            message = f"No order book available for {query.pair}"
            return msgspec.json.encode(self._compat.missing(message, subject=subject, metadata=metadata))
        book = books[0]
        sides = {"bids": _side(book.bids), "asks": _side(book.asks), "last_update_id": book.last_update_id}
        metadata["timestamp"] = to_iso(book.time_ms)
        return msgspec.json.encode({**subject, "data": sides, "metadata": metadata})

    async def _rows(self, family: Family, query: SeriesQuery) -> bytes:
        now_ms = self._clock.now_ms()
        end_ms = now_ms if query.end is None else query.end
        series = Series(family, query.pair, getattr(query, "period", None))
        revision = await self._revisions.current(series)
        key = (series, query)
        text = self._answers.get(key, revision, now_ms)
        if text is None:
            text, validity = await self._read(series, query, now_ms)
            # The revision was asked for first: what is written meanwhile makes a new one, and this answer old.
            self._answers.put(key, revision, text, validity)
        return text + _ending(end_ms)

    async def _read(self, series: Series, query: SeriesQuery, now_ms: int) -> tuple[bytes, Validity]:
        """Return an answer up to the value of ``parameters.end``, its last, and when it holds."""
        end_ms = now_ms if query.end is None else query.end
        window = Window(query.start, end_ms, query.limit, query.offset, query.sort_order)
        page = await self._store.page(series, window)
        newest_ms, validity = await self._newest(series, page, query, now_ms)
        value = VALUES[series.family]
        answer = {
            **_subject(query),
            **self._compat.listed([value(row) for row in page.rows]),
            "pagination": pagination(page.total, limit=query.limit, offset=query.offset),
            "metadata": {
                "data_completeness": await self._completeness(series, page.rows),
                "last_updated": None if newest_ms is None else to_iso(newest_ms),
                "source": self._store.name,
                "collection": series.dataset_id,
                "records_returned": len(page.rows),
            },
            "parameters": _parameters(query),
        }
        text = msgspec.json.encode(answer).removesuffix(b"}}") + b',"end":"'
        return text, validity

    async def _newest(
        self, series: Series, page: Page[Any], query: SeriesQuery, now_ms: int
    ) -> tuple[int | None, Validity]:
        """Return the time of the newest row before now, and for which instants it and the rows of a page are so.

        Rows may lie ahead of the clock: the rate of the coming funding time is known before that.
        """
        if query.end is not None:
            if page.newest_ms is None or page.newest_ms < now_ms:
                return page.newest_ms, Validity(after_ms=-math.inf if page.newest_ms is None else page.newest_ms)
            page = await self._store.page(series, Window(end_ms=now_ms, limit=1))
        after_ms = -math.inf if page.before_ms is None else page.before_ms
        return page.before_ms, Validity(after_ms, math.inf if page.after_ms is None else page.after_ms)

    async def _completeness(self, series: Series, rows: Sequence[Any]) -> float | None:
        """Return how complete rows are, where they stand on a grid."""
        if series.timeframe is not None:
            return completeness(rows, series.timeframe)
        if series.family is not Family.FUNDING_RATES or not rows:
            return None
        times = [row.time_ms for row in rows]
        before = Window(end_ms=min(times), limit=_AROUND)
        after = Window(start_ms=max(times) + 1, limit=_AROUND)
        around = [await self._store.page(series, window, counted=False) for window in (before, after)]
        return funding_completeness(rows, [row for page in around for row in page.rows])


@lru_cache(maxsize=16)
def _ending(end_ms: int) -> bytes:
    """Return the last bytes of an answer; requests of the same millisecond share them."""
    return to_iso(end_ms).encode() + _CLOSING


def _subject(query: SeriesQuery) -> dict[str, object]:
    subject: dict[str, object] = {"pair": query.pair}
    if isinstance(query, CandlesQuery):
        subject["period"] = query.period
    return subject


def _parameters(query: SeriesQuery) -> dict[str, object]:
    """Return the query as it was understood, without the end."""
    shown = _subject(query) | {
        "start": None if query.start is None else to_iso(query.start),
        "limit": query.limit,
        "offset": query.offset,
        "sort_order": query.sort_order,
    }
    if isinstance(query, TradesQuery):
        shown["aggregated"] = query.aggregated
    return shown


def _side(levels: str) -> list[dict[str, str]]:
    return [{"price": price, "quantity": quantity} for price, quantity in _levels.decode(levels)[:_LEVELS]]
