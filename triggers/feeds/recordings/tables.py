"""CSV files: which table it is, and where its columns are. With a header the names decide, without one the width."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from common.times import EARLIEST_EVENT_MS, LATEST_INSTANT_MS
from triggers.feeds.recordings.recorded import BadLine, Market, UnreadableFile

TableKind = Literal["kline", "trade", "aggTrade", "fundingRate"]

# From here on a number is read as microseconds: the exchange's spot archives changed to them in 2025.
_MICROSECONDS_FROM: Final = 100_000_000_000_000

_KLINE: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
_TRADE: Final = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")
_AGG_TRADE: Final = (
    "agg_trade_id",
    "price",
    "qty",
    "first_trade_id",
    "last_trade_id",
    "time",
    "is_buyer_maker",
    "is_best_match",
)
_FUNDING: Final = ("symbol", "funding_time", "funding_rate", "mark_price")

# Columns without which a table of this kind is of no use.
_NEEDED: Final[Mapping[TableKind, frozenset[str]]] = {
    "aggTrade": frozenset({"agg_trade_id", "price", "qty", "time", "is_buyer_maker"}),
    "trade": frozenset({"id", "price", "qty", "time", "is_buyer_maker"}),
    "fundingRate": frozenset({"funding_time", "funding_rate"}),
    "kline": frozenset({"open_time", "open", "high", "low", "close", "volume"}),
}
# Other titles of the same columns, in lower case without blanks and underscores.
_TITLES: Final = {
    "quoteassetvolume": "quote_volume",
    "numberoftrades": "count",
    "trades": "count",
    "takerbuybaseassetvolume": "taker_buy_volume",
    "takerbuybasevolume": "taker_buy_volume",
    "takerbuyquoteassetvolume": "taker_buy_quote_volume",
    "tradeid": "id",
    "aggregatetradeid": "agg_trade_id",
    "quantity": "qty",
    "transacttime": "time",
    "timestamp": "time",
    "wasbestmatch": "is_best_match",
    "calctime": "funding_time",
    "lastfundingrate": "funding_rate",
}
_TITLES_OF_COLUMNS: Final = {
    name.replace("_", ""): name for name in (*_KLINE, *_TRADE, *_AGG_TRADE, *_FUNDING)
} | _TITLES

_LAYOUTS: Final = (
    "expected candles of 12, 9 or 6 columns, trades (id,price,qty,quoteQty,time,isBuyerMaker), aggregated trades, or "
    "funding rates (symbol,fundingTime,fundingRate)"
)

is_decimal: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,18})?").fullmatch
_is_whole: Final = re.compile(r"[0-9]{1,19}").fullmatch
_TRUTH: Final = {"true": "true", "false": "false", "1": "true", "0": "false", "t": "true", "f": "false"}


@dataclass(frozen=True)
class Table:
    """A table's kind and the position of each of its columns.

    Attributes:
        kind: the event that a row becomes.
        columns: position by name.
        has_header: whether the first line names the columns.
        market: what the layout itself tells of the market.
    """

    kind: TableKind
    columns: Mapping[str, int]
    has_header: bool
    market: Market | None


def read_table(fields: Sequence[str]) -> Table:
    """Return the table whose first line this is.

    Raises:
        UnreadableFile: no known table begins like this.
    """
    first = fields[0].strip()
    if fields and not _is_whole(first) and not (len(fields) in (3, 4) and _is_whole(fields[1].strip())):
        return _from_header(fields)
    return _from_width(fields)


def _from_header(titles: Sequence[str]) -> Table:
    plain = [re.sub(r"[^a-z0-9]", "", title.lower()) for title in titles]
    columns = {_TITLES_OF_COLUMNS[title]: at for at, title in enumerate(plain) if title in _TITLES_OF_COLUMNS}
    if "time" in columns and "open" in columns:
        columns.setdefault("open_time", columns["time"])
    for kind, needed in _NEEDED.items():
        if needed <= columns.keys():
            return Table(kind, columns, has_header=True, market=_market(kind, columns))
    raise UnreadableFile(f"{_LAYOUTS}; the columns are {','.join(titles)[:200]}")


def _from_width(fields: Sequence[str]) -> Table:
    width = len(fields)
    names: Sequence[str] = ()
    truths = sum(field.strip().lower() in {"true", "false", "t", "f"} for field in fields[-2:])
    kind: TableKind = "kline"
    if width in (3, 4) and not _is_whole(fields[0].strip()):
        kind, names = "fundingRate", _FUNDING[:width]
    elif (width, truths) in ((6, 1), (7, 2)):
        kind, names = "trade", _TRADE[:width]
    elif (width, truths) in ((7, 1), (8, 2)):
        kind, names = "aggTrade", _AGG_TRADE[:width]
    elif width in (12, 9, 6) and not truths:
        names = _KLINE[:width]
    if not names:
        raise UnreadableFile(f"{_LAYOUTS}; the first line has {width} columns and no titles")
    columns = {name: at for at, name in enumerate(names)}
    return Table(kind, columns, has_header=False, market=_market(kind, columns))


def _market(kind: TableKind, columns: Mapping[str, int]) -> Market | None:
    if kind == "fundingRate":
        return "um"
    return "spot" if "is_best_match" in columns else None


def instant_us(field: str, text: str) -> int:
    """Return a time of a row, given in milliseconds or microseconds, in microseconds."""
    number = int(text) if _is_whole(text) else 0
    instant = number if number >= _MICROSECONDS_FROM else number * 1000
    if not EARLIEST_EVENT_MS * 1000 <= instant <= LATEST_INSTANT_MS * 1000:
        raise BadLine("broken", f"{field}: expected milliseconds or microseconds from 2017 on, was {text[:40]!r}")
    return instant


def decimal(field: str, text: str) -> str:
    """Return the text of a decimal as it stands."""
    if not is_decimal(text):
        raise BadLine("broken", f"{field}: expected a decimal, was {text[:40]!r}")
    return text


def whole(field: str, text: str) -> str:
    """Return the text of a whole number without leading zeros, which JSON does not take."""
    if not _is_whole(text):
        raise BadLine("broken", f"{field}: expected a whole number, was {text[:40]!r}")
    return str(int(text))


def truth(field: str, text: str) -> str:
    """Return ``true`` or ``false``."""
    value = _TRUTH.get(text.lower())
    if value is None:
        raise BadLine("broken", f"{field}: expected true or false, was {text[:40]!r}")
    return value
