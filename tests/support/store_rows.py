"""Rows of market data for the contracts of the stores: one builder per family, sound by default, keyed by a number."""

from collections.abc import Sequence
from typing import Any

from common.models.dead_letters import DeadLetter, Reason, dead_letter
from common.models.families import Family, Series
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    FundingRow,
    MarketRow,
    MarkPriceRow,
    Origin,
    TickerRow,
    TradeRow,
)
from common.storage.ports import MarketStore, Part, Window, WriteCounts
from common.timeframes import Timeframe

START_MS = 1_760_961_600_000  # 2025-10-20T12:00:00Z
HOUR_MS = 3_600_000
BTC = "BTCUSDT"


def trade(trade_id: int, *, symbol: str = BTC, time_ms: int | None = None, price: str = "64302.10") -> TradeRow:
    when = START_MS + trade_id if time_ms is None else time_ms
    return TradeRow(symbol, when, trade_id, price, "0.00100000", trade_id % 2 == 0)


def agg_trade(agg_trade_id: int, *, symbol: str = BTC, first: int | None = 7) -> AggTradeRow:
    when = START_MS + agg_trade_id % 1000
    return AggTradeRow(symbol, when, agg_trade_id, "64302.10", "1.500", first, first, is_buyer_maker=True)


def ticker(number: int, *, symbol: str = BTC) -> TickerRow:
    texts = ("64000.00", "64355.00", "63012.70", "64119.40", "4120.338", "264501233.114000", "-119.40", "-0.186")
    return TickerRow(symbol, START_MS + number, *texts, trades_count=86039)


def book(update_id: int, *, symbol: str = BTC, time_ms: int | None = None) -> DepthRow:
    bids, asks = '[["64302.10","0.500"],["64302.00","1.000"]]', '[["64302.20","0.00100000"]]'
    return DepthRow(symbol, START_MS + update_id if time_ms is None else time_ms, update_id, bids, asks)


def mark(number: int, *, symbol: str = BTC, index_price: str | None = "64300.12345678") -> MarkPriceRow:
    return MarkPriceRow(symbol, START_MS + number, "64301.00000000", index_price, None, "-0.00010000", START_MS)


def funding(
    *,
    symbol: str = BTC,
    time_ms: int = START_MS,
    rate: str = "0.00010000",
    mark_price: str | None = "64301.00",
    event_ms: int = 0,
    origin: Origin = Origin.STREAM,
) -> FundingRow:
    return FundingRow(symbol, time_ms, rate, mark_price, None, START_MS + event_ms, origin)


def candle(
    close: str = "64119.40",
    *,
    symbol: str = BTC,
    timeframe: str = "1h",
    slot: int = 0,
    closed: bool = True,
    event_ms: int = 0,
    origin: Origin = Origin.STREAM,
    trades: int | None = 86039,
    volume: str = "4120.338",
    revision: int = 0,
) -> CandleRow:
    return CandleRow(
        symbol=symbol,
        timeframe=timeframe,
        time_ms=START_MS + slot * HOUR_MS,
        open="64302.10",
        high="64355.00",
        low="64012.70",
        close=close,
        volume=volume,
        quote_volume="264501233.114000",
        trades_count=trades,
        taker_buy_volume="2060.10",
        taker_buy_quote_volume=None,
        is_closed=closed,
        event_time_ms=START_MS + event_ms,
        origin=origin,
        revision=revision,
    )


def letter(number: int, *, kind: str = "trade", reason: Reason = Reason.INVALID_VALUE, at_ms: int = 0) -> DeadLetter:
    """Return a dead letter as lists have it: without its payload."""
    payload = f'{{"number":{number},"p":"NaN"}}'.encode()
    return dead_letter(
        payload,
        time_ms=START_MS + at_ms,
        kind=kind,
        reason=reason,
        detail="expected a positive decimal, was 'NaN'",
        origin="ingest",
        field="p",
        symbol=BTC,
        event_id="event-1",
    )._replace(payload=None)


# Three rows of each family with ascending keys; digits, missing values and signs that must come back as they are.
SAMPLES: dict[Family, Sequence[MarketRow]] = {
    Family.TRADES: [trade(1), trade(2, price="0.00001000"), trade(3, price="12345678901234567890.12345678901234")],
    Family.AGG_TRADES: [agg_trade(1), agg_trade(2, first=None), agg_trade(2**53 + 1)],
    Family.TICKERS: [ticker(1), ticker(2), ticker(3)],
    Family.DEPTH: [book(1), book(2), book(3)._replace(asks="[]")],
    Family.MARK_PRICES: [mark(1), mark(2, index_price=None), mark(3)._replace(next_funding_time_ms=None)],
    Family.FUNDING_RATES: [
        funding(),
        funding(time_ms=START_MS + 8 * HOUR_MS, rate="-0.00300000", mark_price=None),
        funding(time_ms=START_MS + 16 * HOUR_MS, origin=Origin.REST),
    ],
    Family.CANDLES: [
        candle(),
        candle("1.10", slot=1, origin=Origin.ARCHIVE, trades=None),
        candle("1.1", slot=2, closed=False),
    ],
}


# Reading and writing in few words

TRADES = Series(Family.TRADES, BTC)
CANDLES = Series(Family.CANDLES, BTC, Timeframe.H1)
SERIES = {family: Series(family, BTC) for family in Family} | {Family.CANDLES: CANDLES}
ALL = Window(limit=100_000)


async def put(
    store: MarketStore, family: Family, rows: Sequence[MarketRow], dead_letters: Sequence[DeadLetter] = ()
) -> WriteCounts:
    """Write rows of one family."""
    return await store.write([Part(family, rows)], dead_letters)


async def rows_of(store: MarketStore, series: Series, window: Window = ALL) -> list[Any]:
    """Read rows of a series."""
    return (await store.page(series, window, counted=False)).rows
