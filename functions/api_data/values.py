"""What a row becomes in an answer, family by family.

A value is a plain dictionary; decimal strings pass through untouched.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from common.models.families import Family
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    FundingRow,
    MarkPriceRow,
    TickerRow,
    TradeRow,
)
from common.times import to_iso

Value = dict[str, object]


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


VALUES: Final[Mapping[Family, Callable[[Any], Value]]] = {
    Family.CANDLES: _candle,
    Family.TRADES: _trade,
    Family.AGG_TRADES: _agg_trade,
    Family.TICKERS: _ticker,
    Family.MARK_PRICES: _mark_price,
    Family.FUNDING_RATES: _funding_rate,
}
