"""Rows of market data as they travel from the wire to a store and back.

Tuples with names, because a store takes them by the thousand. Prices and quantities are the decimal strings that the
exchange wrote, digit for digit; times are milliseconds since the epoch, UTC. The key of each row is deterministic, so
writing one twice stores it once.
"""

from enum import IntEnum
from typing import NamedTuple


class Origin(IntEnum):
    """Where a value came from; a higher one is more trustworthy."""

    STREAM = 0
    ARCHIVE = 1
    REST = 2


class TradeRow(NamedTuple):
    """One trade. Key: symbol, trade id."""

    symbol: str
    time_ms: int
    trade_id: int
    price: str
    quantity: str
    is_buyer_maker: bool


class AggTradeRow(NamedTuple):
    """Trades of one taker order at one price. Key: symbol, aggregate id (which counts apart from trade ids)."""

    symbol: str
    time_ms: int
    agg_trade_id: int
    price: str
    quantity: str
    first_trade_id: int | None
    last_trade_id: int | None
    is_buyer_maker: bool


class TickerRow(NamedTuple):
    """Rolling 24-hour statistics. Key: symbol, time."""

    symbol: str
    time_ms: int
    open_price: str
    high_price: str
    low_price: str
    close_price: str
    volume: str
    quote_volume: str
    price_change: str
    price_change_percent: str
    trades_count: int


class DepthRow(NamedTuple):
    """The top of an order book. Key: symbol, last update id.

    ``bids`` and ``asks`` are JSON text, ``[["price","quantity"],…]``, best first, at most 20 levels.
    """

    symbol: str
    time_ms: int
    last_update_id: int
    bids: str
    asks: str


class MarkPriceRow(NamedTuple):
    """Mark and index price of a contract. Key: symbol, time."""

    symbol: str
    time_ms: int
    mark_price: str
    index_price: str | None
    estimated_settle_price: str | None
    funding_rate: str | None
    next_funding_time_ms: int | None


class FundingRow(NamedTuple):
    """The funding rate of one funding time (rounded to the second). Key: symbol, funding time.

    A row of higher origin replaces one of lower origin; within one origin the later ``event_time_ms`` wins.
    """

    symbol: str
    time_ms: int
    funding_rate: str
    mark_price: str | None
    next_funding_time_ms: int | None
    event_time_ms: int
    origin: Origin


class CandleRow(NamedTuple):
    """One candle. Key: symbol, timeframe, open time.

    Which of two is kept: design.md, "Which candle wins". A change to a closed candle raises ``revision``.
    """

    symbol: str
    timeframe: str
    time_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str | None
    trades_count: int | None
    taker_buy_volume: str | None
    taker_buy_quote_volume: str | None
    is_closed: bool
    event_time_ms: int
    origin: Origin
    revision: int = 0


MarketRow = TradeRow | AggTradeRow | TickerRow | DepthRow | MarkPriceRow | FundingRow | CandleRow
