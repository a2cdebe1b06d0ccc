"""The series that are served: how each is read from the store, and what a row becomes in an answer.

A value is a plain dictionary with the keys of spec/data-api.md §2; decimal strings pass through untouched.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from common.models.rows import (
    AggTradeRow,
    CandleRow,
    Family,
    FundingRow,
    MarketRow,
    MarkPriceRow,
    TickerRow,
    TradeRow,
)
from common.storage.ports import MarketStore, Window
from common.timeframes import Timeframe
from common.times import to_iso

Value = dict[str, object]
RowT = TypeVar("RowT", bound=MarketRow)


@dataclass(frozen=True, slots=True)
class SeriesId:
    """Which series: a family, a pair, and for candles the interval."""

    family: Family
    symbol: str
    timeframe: Timeframe | None = None


@dataclass(frozen=True, slots=True)
class Kind(Generic[RowT]):
    """A family of series: how to read its rows, and what a row becomes in an answer."""

    family: Family
    read: Callable[[MarketStore, SeriesId, Window], Awaitable[Sequence[RowT]]]
    value: Callable[[RowT], Value]


async def _read_candles(store: MarketStore, series: SeriesId, window: Window) -> list[CandleRow]:
    assert series.timeframe is not None  # noqa: S101 - a candle series has an interval
    return await store.candles(series.symbol, series.timeframe, window)


def _candle(row: CandleRow) -> Value:
    return {
        "timestamp": to_iso(row.time_ms),
        "open": row.open,
        "high": row.high,
        "low": row.low,
        "close": row.close,
        "volume": row.volume,
        "quote_volume": row.quote_volume,
        "trades_count": row.trades_count,
        "taker_buy_volume": row.taker_buy_volume,
        "is_closed": row.is_closed,
    }


def _trade(row: TradeRow) -> Value:
    return {
        "timestamp": to_iso(row.time_ms),
        "trade_id": row.trade_id,
        "price": row.price,
        "quantity": row.quantity,
        "side": _taker_side(row.is_buyer_maker),
    }


def _agg_trade(row: AggTradeRow) -> Value:
    return {
        "timestamp": to_iso(row.time_ms),
        "agg_trade_id": row.agg_trade_id,
        "price": row.price,
        "quantity": row.quantity,
        "side": _taker_side(row.is_buyer_maker),
        "first_trade_id": row.first_trade_id,
        "last_trade_id": row.last_trade_id,
    }


def _taker_side(is_buyer_maker: bool) -> str:
    return "sell" if is_buyer_maker else "buy"


def _ticker(row: TickerRow) -> Value:
    value: Value = row._asdict()
    del value["symbol"], value["time_ms"]
    return {"timestamp": to_iso(row.time_ms), **value}


def _mark_price(row: MarkPriceRow) -> Value:
    next_ms = row.next_funding_time_ms
    return {
        "timestamp": to_iso(row.time_ms),
        "mark_price": row.mark_price,
        "index_price": row.index_price,
        "estimated_settle_price": row.estimated_settle_price,
        "funding_rate": row.funding_rate,
        "next_funding_time": None if next_ms is None else to_iso(next_ms),
    }


def _funding_rate(row: FundingRow) -> Value:
    return {
        "timestamp": to_iso(row.time_ms),
        "funding_rate": row.funding_rate,
        "mark_price": row.mark_price,
    }


CANDLES: Final = Kind(Family.CANDLES, _read_candles, _candle)
TRADES: Final = Kind(Family.TRADES, lambda store, series, window: store.trades(series.symbol, window), _trade)
AGG_TRADES: Final = Kind(
    Family.AGG_TRADES, lambda store, series, window: store.agg_trades(series.symbol, window), _agg_trade
)
TICKERS: Final = Kind(Family.TICKERS, lambda store, series, window: store.tickers(series.symbol, window), _ticker)
MARK_PRICES: Final = Kind(
    Family.MARK_PRICES, lambda store, series, window: store.mark_prices(series.symbol, window), _mark_price
)
FUNDING_RATES: Final = Kind(
    Family.FUNDING_RATES, lambda store, series, window: store.funding_rates(series.symbol, window), _funding_rate
)


def completeness(rows: Sequence[MarketRow], timeframe: Timeframe | None) -> float | None:
    """Return rows over expected slots from the first to the last row, in percent.

    Args:
        rows: rows of one series in order of time, ascending or descending.
        timeframe: the grid that they stand on; nothing where there is none.

    Returns:
        A percentage with two decimals; nothing without a grid or without rows.
    """
    if timeframe is None or not rows:
        return None
    slots = abs(rows[-1].time_ms - rows[0].time_ms) // timeframe.duration_ms + 1
    return round(100 * len(rows) / slots, 2)
