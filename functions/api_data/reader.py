"""Reads what the routes serve and encodes it. An answer that was given before is given again while it is true."""

import math
from typing import Any, Final, NamedTuple

import msgspec

from common.clock import Clock
from common.errors import NotFound
from common.host.parameters import pagination
from common.models.rows import Family, dataset_id
from common.storage.ports import MarketStore, SeriesExtent, Window
from common.times import to_iso
from functions.api_data import series as kinds
from functions.api_data.answers import Answers, Validity
from functions.api_data.queries import CandlesQuery, PairQuery, SeriesQuery, TradesQuery
from functions.api_data.revision import SharedRevisions
from functions.api_data.series import Kind, SeriesId, completeness

_KEPT_BYTES: Final = 16 * 1024 * 1024
_LEVELS: Final = 20
_CLOSING: Final = b'"}}'  # of parameters.end, parameters and the answer
_levels: Final = msgspec.json.Decoder(list[tuple[str, str]])


class _Place(NamedTuple):
    """A range in its series: rows in it, the newest row of the series, and when "before now" means this range."""

    rows: int
    newest_ms: int | None
    validity: Validity


class MarketReader:
    """Answers questions about market data with JSON text.

    Every method raises ``StoreUnavailable`` when the store cannot be asked, also for an answer that was given before.
    """

    def __init__(self, store: MarketStore, clock: Clock, *, kept_bytes: int = _KEPT_BYTES) -> None:
        self._store = store
        self._clock = clock
        self._answers = Answers(kept_bytes)
        self._revisions = SharedRevisions(store)

    async def candles(self, query: CandlesQuery) -> bytes:
        """Return candles by open time, the open one included."""
        return await self._rows(kinds.CANDLES, query)

    async def trades(self, query: TradesQuery) -> bytes:
        """Return trades, or aggregated trades."""
        return await self._rows(kinds.AGG_TRADES if query.aggregated else kinds.TRADES, query)

    async def tickers(self, query: SeriesQuery) -> bytes:
        """Return 24-hour tickers."""
        return await self._rows(kinds.TICKERS, query)

    async def mark_prices(self, query: SeriesQuery) -> bytes:
        """Return mark prices."""
        return await self._rows(kinds.MARK_PRICES, query)

    async def funding_rates(self, query: SeriesQuery) -> bytes:
        """Return funding rates by funding time."""
        return await self._rows(kinds.FUNDING_RATES, query)

    async def depth(self, query: PairQuery) -> bytes:
        """Return the newest order book.

        Raises:
            NotFound: no book of the pair is stored.
        """
        books = await self._store.depth(query.pair, Window(limit=1))
        if not books:
            raise NotFound(f"No order book available for {query.pair}")
        book = books[0]
        return msgspec.json.encode(
            {
                "pair": query.pair,
                "data": {
                    "bids": _side(book.bids),
                    "asks": _side(book.asks),
                    "last_update_id": book.last_update_id,
                },
                "metadata": {
                    "timestamp": to_iso(book.time_ms),
                    "source": self._store.name,
                    "collection": dataset_id(Family.DEPTH, query.pair),
                },
                "parameters": {"pair": query.pair},
            }
        )

    async def _rows(self, kind: Kind[Any], query: SeriesQuery) -> bytes:
        now_ms = self._clock.now_ms()
        end_ms = now_ms if query.end is None else query.end
        revision = await self._revisions.current((kind.family, query.pair, getattr(query, "period", None)))
        key = (kind.family, query)
        text = self._answers.get(key, revision, now_ms)
        if text is None:
            text, validity = await self._read(kind, query, end_ms)
            # The revision was asked for first: what is written meanwhile makes a new one, and this answer old.
            self._answers.put(key, revision, text, validity)
        return b"".join((text, to_iso(end_ms).encode(), _CLOSING))

    async def _read(self, kind: Kind[Any], query: SeriesQuery, end_ms: int) -> tuple[bytes, Validity]:
        """Return an answer up to the value of ``parameters.end``, its last, and when it holds."""
        series = SeriesId(kind.family, query.pair, getattr(query, "period", None))
        window = Window(query.start, end_ms, query.limit, query.offset, query.sort_order)
        rows = await kind.read(self._store, series, window)
        place = await self._place(kind, series, query.start, end_ms)
        answer = {
            **_subject(query),
            "values": [kind.value(row) for row in rows],
            "pagination": pagination(place.rows, limit=query.limit, offset=query.offset),
            "metadata": {
                "data_completeness": completeness(rows, series.timeframe),
                "last_updated": None if place.newest_ms is None else to_iso(place.newest_ms),
                "source": self._store.name,
                "collection": dataset_id(series.family, series.symbol, series.timeframe),
                "records_returned": len(rows),
            },
            "parameters": _parameters(query),
        }
        text = msgspec.json.encode(answer).removesuffix(b"}}") + b',"end":"'
        return text, Validity() if query.end is not None else place.validity

    async def _place(self, kind: Kind[Any], series: SeriesId, start_ms: int | None, end_ms: int) -> _Place:
        """Count the rows of a range, and find the stored rows nearest to its end."""
        whole = await self._extent(series)
        if whole.first_ms is None or whole.last_ms is None:
            return _Place(0, None, Validity())
        if whole.last_ms < end_ms:
            before, ahead_ms = whole, math.inf
        else:
            before = await self._extent(series, end_ms)
            ahead = await kind.read(self._store, series, Window(start_ms=end_ms, limit=1))
            ahead_ms = ahead[0].time_ms if ahead else end_ms
        left_out = 0
        if start_ms is not None and start_ms > whole.first_ms:
            left_out = (await self._extent(series, start_ms)).rows
        validity = Validity(-math.inf if before.last_ms is None else before.last_ms, ahead_ms)
        return _Place(max(0, before.rows - left_out), whole.last_ms, validity)

    async def _extent(self, series: SeriesId, end_ms: int | None = None) -> SeriesExtent:
        return await self._store.extent(series.family, series.symbol, series.timeframe, end_ms=end_ms)


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
