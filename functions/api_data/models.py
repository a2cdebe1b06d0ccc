"""The answers under ``/data`` as the OpenAPI document shows them. The bytes are made in ``series`` and ``answers``.

Decimals are strings, digit for digit as the exchange wrote them; times are ISO-8601, UTC, milliseconds, ``Z``.
"""

from typing import Generic, Literal, TypeVar

from pydantic import Field

from common.host.answers import Answer, Pagination
from common.timeframes import Timeframe

Side = Literal["buy", "sell"]


class Candle(Answer):
    """One candle, keyed by its open time."""

    timestamp: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str | None
    trades_count: int | None
    taker_buy_volume: str | None
    is_closed: bool = Field(description="False while the candle still changes.")


class Trade(Answer):
    """One trade; ``side`` is the taker's."""

    timestamp: str
    trade_id: int
    price: str
    quantity: str
    side: Side


class AggregatedTrade(Answer):
    """The fills of one taker order at one price. Aggregate ids count apart from trade ids."""

    timestamp: str
    agg_trade_id: int
    price: str
    quantity: str
    side: Side
    first_trade_id: int | None
    last_trade_id: int | None


class FundingRate(Answer):
    """The funding rate of one funding time."""

    timestamp: str
    funding_rate: str
    mark_price: str | None


class Ticker(Answer):
    """Statistics of the 24 hours before ``timestamp``."""

    timestamp: str
    open_price: str
    high_price: str
    low_price: str
    close_price: str
    volume: str
    quote_volume: str
    price_change: str
    price_change_percent: str
    trades_count: int


class MarkPrice(Answer):
    """Mark and index price of a contract."""

    timestamp: str
    mark_price: str
    index_price: str | None
    estimated_settle_price: str | None
    funding_rate: str | None
    next_funding_time: str | None


class SeriesMetadata(Answer):
    """Where the values of an answer come from."""

    data_completeness: float | None = Field(
        description="Rows of the answer ÷ slots from its first to its last row × 100; null without a time grid. "
        "The grid of funding rates is the contract's own interval."
    )
    last_updated: str | None = Field(description="Time of the newest row of the series that is not ahead of now.")
    source: str
    collection: str
    records_returned: int


class SeriesParameters(Answer):
    """The query as it was understood."""

    pair: str
    start: str | None
    end: str
    limit: int
    offset: int
    sort_order: Literal["asc", "desc"]


class CandlesParameters(SeriesParameters):
    """The query as it was understood."""

    period: Timeframe


class TradesParameters(SeriesParameters):
    """The query as it was understood."""

    aggregated: bool


Value = TypeVar("Value")


class SeriesAnswer(Answer, Generic[Value]):
    """Rows of a series."""

    pair: str
    values: list[Value]
    pagination: Pagination
    metadata: SeriesMetadata
    parameters: SeriesParameters


class CandlesAnswer(SeriesAnswer[Candle]):
    """Candles by open time."""

    period: Timeframe
    parameters: CandlesParameters


class TradesAnswer(SeriesAnswer[Trade | AggregatedTrade]):
    """Trades by time, then id."""

    parameters: TradesParameters


class Level(Answer):
    """One price level of an order book."""

    price: str
    quantity: str


class Book(Answer):
    """The top of an order book, best level first, at most 20 levels a side."""

    bids: list[Level]
    asks: list[Level]
    last_update_id: int


class DepthMetadata(Answer):
    """Where the book comes from, and its time."""

    timestamp: str
    source: str
    collection: str


class PairParameters(Answer):
    """The query as it was understood."""

    pair: str


class DepthAnswer(Answer):
    """The newest order book."""

    pair: str
    data: Book
    metadata: DepthMetadata
    parameters: PairParameters
