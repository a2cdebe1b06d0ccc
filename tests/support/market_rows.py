"""Rows of every family with telling defaults, for tests of stores."""

import json

from common.models.dead_letters import DeadLetter, Reason, dead_letter
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    Family,
    FundingRow,
    MarketRow,
    MarkPriceRow,
    Origin,
    TickerRow,
    TradeRow,
)
from common.timeframes import Timeframe

SYMBOL = "BTCUSDT"
START_MS = 1_760_000_400_000  # on the grid of an hour
MINUTE_MS = 60_000


def trade(time_ms: int, trade_id: int = 1, *, symbol: str = SYMBOL, price: str = "64000.10") -> TradeRow:
    """A trade."""
    return TradeRow(symbol, time_ms, trade_id, price, "0.00100000", is_buyer_maker=trade_id % 2 == 0)


def candle(
    time_ms: int = START_MS,
    *,
    symbol: str = SYMBOL,
    timeframe: str = "1m",
    close: str = "64000.10",
    is_closed: bool = True,
    event_ms: int | None = None,
    origin: Origin = Origin.STREAM,
    trades_count: int | None = 7,
) -> CandleRow:
    """A candle; its event time is its end unless another is given."""
    end_ms = time_ms + Timeframe(timeframe).duration_ms
    return CandleRow(
        symbol,
        timeframe,
        time_ms,
        open="64000.00",
        high="65000.90",
        low="63000.0",
        close=close,
        volume="12.50000000",
        quote_volume="800000.000",
        trades_count=trades_count,
        taker_buy_volume="6.2500",
        taker_buy_quote_volume="400000.0",
        is_closed=is_closed,
        event_time_ms=end_ms if event_ms is None else event_ms,
        origin=origin,
    )


def funding(
    time_ms: int = START_MS,
    *,
    symbol: str = SYMBOL,
    rate: str = "0.00010000",
    event_ms: int = START_MS,
    origin: Origin = Origin.STREAM,
) -> FundingRow:
    """A funding rate."""
    return FundingRow(symbol, time_ms, rate, "64000.50", time_ms + 28_800_000, event_ms, origin)


def mark_price(time_ms: int, *, symbol: str = SYMBOL, price: str = "64000.12000000") -> MarkPriceRow:
    """A mark price of a contract."""
    return MarkPriceRow(symbol, time_ms, price, "64001.00", None, "0.00010000", START_MS + 28_800_000)


def depth(time_ms: int, update_id: int = 1, *, symbol: str = SYMBOL) -> DepthRow:
    """An order book of two levels."""
    bids = json.dumps([["64000.10", "1.500"], ["64000.00", "0.10"]], separators=(",", ":"))
    return DepthRow(symbol, time_ms, update_id, bids, '[["64000.20","2.000"]]')


def ticker(time_ms: int, *, symbol: str = SYMBOL, close: str = "64000.10") -> TickerRow:
    """24-hour statistics."""
    texts = ("63000.0", "65000.00", "62000.000", close, "1000.50", "64000000.00", "1000.10", "1.590")
    return TickerRow(symbol, time_ms, *texts, trades_count=123_456)


def row_of(family: Family, time_ms: int, number: int = 1, *, symbol: str = SYMBOL) -> MarketRow:
    """A row of any family; rows of one time differ by ``number`` where their family has ids."""
    match family:
        case Family.TRADES:
            return trade(time_ms, number, symbol=symbol)
        case Family.AGG_TRADES:
            return AggTradeRow(symbol, time_ms, number, "64000.10", "0.50", None, None, is_buyer_maker=False)
        case Family.TICKERS:
            return ticker(time_ms, symbol=symbol)
        case Family.DEPTH:
            return depth(time_ms, number, symbol=symbol)
        case Family.MARK_PRICES:
            return mark_price(time_ms, symbol=symbol)
        case Family.FUNDING_RATES:
            return funding(time_ms, symbol=symbol)
        case Family.CANDLES:
            return candle(time_ms, symbol=symbol)


def letter(
    number: int, *, kind: str = "trade", reason: Reason = Reason.NOT_JSON, time_ms: int | None = None
) -> DeadLetter:
    """A dead letter; equal arguments give the same one."""
    return dead_letter(
        f"payload {number} \u00e9".encode(),
        time_ms=START_MS + number if time_ms is None else time_ms,
        kind=kind,
        reason=reason,
        detail="price: expected a number, was 'x'",
        origin="ingest",
        field="price" if number % 2 else None,
        symbol=SYMBOL,
        event_id=f"event-{number}",
    )
