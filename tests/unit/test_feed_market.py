"""The simulated market agrees with itself: trades, candles of all timeframes, tickers, whenever they are asked for."""

import json
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kurtosis

from common.timeframes import Timeframe
from common.times import DAY_MS, HOUR_MS, MINUTE_MS, parse_instant
from tests.support.feeds import ingested
from triggers.feeds.market.exchange import FUNDING_INTERVAL_MS, Exchange
from triggers.feeds.market.history import HISTORY_DAYS, History
from triggers.feeds.market.live import Cadence, LiveMarket
from triggers.feeds.market.messages import MarketMessage
from triggers.feeds.market.pairs import PAIRS, Pair, decimal_text, pairs_named

NOW_MS = parse_instant("2025-10-20T12:34:56.700Z")
SIX = (Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1)
TWO_PAIRS = pairs_named(("BTCUSDT", "ADAUSDT"))
ALL_PAIRS = tuple(PAIRS.values())


@cache
def history(
    pairs: tuple[Pair, ...] = TWO_PAIRS,
    timeframes: tuple[Timeframe, ...] = SIX,
    now_ms: int = NOW_MS,
    since: tuple[tuple[str, int], ...] = (),
) -> list[MarketMessage]:
    return list(History(Exchange(1, pairs), timeframes, dict(since), now_ms, with_funding=True).messages())


def live(
    start_ms: int, end_ms: int, *, pairs: tuple[Pair, ...] = TWO_PAIRS, seed: int = 1, step_ms: int = MINUTE_MS
) -> list[MarketMessage]:
    market = LiveMarket(Exchange(seed, pairs), SIX, Cadence.at_rate(1, len(pairs)), with_funding=True)
    spans = pairwise([*range(start_ms - 1, end_ms - 1, step_ms), end_ms - 1])
    return [event for after, until in spans for event in market.events(after, until)]


def candles(messages: Sequence[MarketMessage], symbol: str, timeframe: str, *, closed: bool = True) -> pd.DataFrame:
    bodies = [json.loads(m.data)["k"] for m in messages if m.kind == "kline" and m.symbol == symbol]
    table = pd.DataFrame([body for body in bodies if body["i"] == timeframe and body["x"] is closed])
    for column in "ohlcvqVQ":
        table[column] = table[column].map(Decimal)
    return table.set_index(pd.to_datetime(table["t"], unit="ms"))


def trades(messages: Sequence[MarketMessage], symbol: str) -> pd.DataFrame:
    table = pd.DataFrame([json.loads(m.data) for m in messages if m.kind == "trade" and m.symbol == symbol])
    return table.assign(p=table["p"].map(Decimal), q=table["q"].map(Decimal))


def joined(table: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Aggregate candles with pandas, in decimals."""
    sums: dict[str, Any] = dict.fromkeys("vqVQ", lambda values: sum(values, Decimal(0)))
    how: dict[str, Any] = {"o": "first", "h": "max", "l": "min", "c": "last", "n": "sum", "f": "first", "L": "last"}
    return table.resample(rule).agg(how | sums)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ADAUSDT"])
@pytest.mark.parametrize(
    ("fine", "coarse", "rule"),
    [("1m", "5m", "5min"), ("5m", "15m", "15min"), ("15m", "1h", "1h"), ("1h", "4h", "4h"), ("4h", "1d", "1D")],
)
def test_candles_of_all_timeframes_agree_exactly(symbol: str, fine: str, coarse: str, rule: str) -> None:
    published = history()
    small, large = candles(published, symbol, fine), candles(published, symbol, coarse)
    first = small.index[0].ceil(rule)
    summed = joined(small[small.index >= first], rule)
    both = summed.index.intersection(large.index)
    assert len(both) >= 20
    for column in "ohlcvqVQnfL":
        assert summed.loc[both, column].tolist() == large.loc[both, column].tolist(), column


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ADAUSDT"])
def test_trades_add_up_to_their_candles_exactly(symbol: str) -> None:
    start = NOW_MS // (5 * MINUTE_MS) * 5 * MINUTE_MS
    published = live(start, start + 5 * MINUTE_MS + 10)
    table = trades(published, symbol)
    assert table["T"].is_monotonic_increasing
    assert (table["t"].diff().dropna() == 1).all()
    for timeframe, length in (("1m", MINUTE_MS), ("5m", 5 * MINUTE_MS)):
        bars = candles(published, symbol, timeframe)
        bars = bars[bars["t"] >= start]
        assert len(bars) == 5 * MINUTE_MS // length
        for bar in bars.itertuples():
            inside = table[(table["T"] >= bar.t) & (table["T"] <= bar.T)]
            bought = inside[~inside["m"].astype(bool)]
            assert [inside["p"].iloc[0], inside["p"].max(), inside["p"].min(), inside["p"].iloc[-1]] == [
                bar.o, bar.h, bar.l, bar.c,
            ]  # fmt: skip
            assert (inside["q"].sum(), (inside["p"] * inside["q"]).sum()) == (bar.v, bar.q)
            assert (bought["q"].sum(), (bought["p"] * bought["q"]).sum()) == (bar.V, bar.Q)
            assert (len(inside), inside["t"].iloc[0], inside["t"].iloc[-1]) == (bar.n, bar.f, bar.L)


def test_running_candles_are_those_of_the_trades_so_far() -> None:
    start = NOW_MS // HOUR_MS * HOUR_MS
    published = live(start, start + 2 * MINUTE_MS)
    table = trades(published, "BTCUSDT")
    for message in published:
        body = json.loads(message.data).get("k")
        if message.symbol != "BTCUSDT" or body is None or body["x"] or body["t"] < start:
            continue
        inside = table[(table["T"] >= body["t"]) & (table["T"] <= message.time_ms)]
        assert (str(inside["p"].iloc[-1]), len(inside)) == (body["c"], body["n"])
        assert str(inside["q"].sum()) == body["v"]


def test_the_ticker_is_the_last_24_hours_of_candles() -> None:
    start = NOW_MS // MINUTE_MS * MINUTE_MS
    minutes = candles(history(now_ms=start + 5), "BTCUSDT", "1m")
    tickers = [m for m in live(start, start + MINUTE_MS) if m.kind == "24hrTicker" and m.symbol == "BTCUSDT"]
    event = json.loads(tickers[-1].data)
    running = trades(live(start, event["E"] + 1), "BTCUSDT")
    window = minutes[minutes["t"] >= event["O"]]
    assert len(window) == 1439
    assert Decimal(event["v"]) == window["v"].sum() + running["q"].sum()
    assert Decimal(event["q"]) == window["q"].sum() + (running["p"] * running["q"]).sum()
    assert Decimal(event["h"]) == max(window["h"].max(), running["p"].max())
    assert Decimal(event["l"]) == min(window["l"].min(), running["p"].min())
    assert (Decimal(event["o"]), Decimal(event["c"])) == (window["o"].iloc[0], running["p"].iloc[-1])
    assert Decimal(event["p"]) == Decimal(event["c"]) - Decimal(event["o"])
    assert event["n"] == event["L"] - event["F"] + 1 == window["n"].sum() + len(running)
    percent = 100 * Decimal(event["p"]) / Decimal(event["o"])
    assert abs(Decimal(event["P"]) - percent) <= Decimal("0.0005")


def test_the_market_is_a_function_of_seed_and_time() -> None:
    start = NOW_MS // MINUTE_MS * MINUTE_MS
    whole = live(start, start + 2 * MINUTE_MS)
    assert live(start, start + 2 * MINUTE_MS, step_ms=100) == whole
    assert live(start + MINUTE_MS, start + 2 * MINUTE_MS) == [m for m in whole if m.time_ms >= start + MINUTE_MS]
    assert live(start, start + MINUTE_MS, seed=2) != [m for m in whole if m.time_ms < start + MINUTE_MS]


def test_a_pair_is_the_same_whatever_other_pairs_there_are() -> None:
    alone = [m for m in history(pairs_named(("SOLUSDT",)), (Timeframe.D1,)) if m.kind == "kline"]
    among = [m for m in history(ALL_PAIRS, (Timeframe.D1,)) if m.kind == "kline" and m.symbol == "SOLUSDT"]
    assert alone == among


def test_two_clocks_see_the_same_market_where_they_overlap() -> None:
    days = (Timeframe.D1,)
    now, earlier = history(timeframes=days), history(timeframes=days, now_ms=NOW_MS - 100 * DAY_MS)
    end, start = max(m.time_ms for m in earlier), min(m.time_ms for m in now if m.kind == "kline")
    shared = [{m for m in run if m.kind == "kline" and start <= m.time_ms <= end} for run in (now, earlier)]
    assert len(shared[0]) == 2 * 300
    assert shared[0] == shared[1]


def test_history_reaches_back_as_far_as_wanted_and_holds_only_what_has_closed() -> None:
    published = history(ALL_PAIRS)
    assert len(published) == len(History(Exchange(1, ALL_PAIRS), SIX, {}, NOW_MS, with_funding=True))
    for pair in PAIRS:
        for timeframe in SIX:
            opened = candles(published, pair, timeframe)["t"]
            assert len(opened) == HISTORY_DAYS[timeframe] * DAY_MS // timeframe.duration_ms
            assert opened.iloc[-1] == timeframe.floor(NOW_MS) - timeframe.duration_ms
            assert (opened.diff().dropna() == timeframe.duration_ms).all()
    rates = [m for m in published if m.kind == "fundingRate" and m.symbol == "BTCUSDT"]
    assert len(rates) == 30 * 3
    assert all(m.time_ms % FUNDING_INTERVAL_MS == 0 for m in rates)


def test_a_second_start_publishes_what_closed_in_between() -> None:
    whole, first = history(), history(now_ms=NOW_MS - 5 * HOUR_MS)
    rest = history(since=(("BTCUSDT", NOW_MS - 5 * HOUR_MS), ("ADAUSDT", NOW_MS - 5 * HOUR_MS)))
    assert not set(rest) & set(first)
    assert set(rest) <= set(whole) <= set(rest) | set(first)
    assert history(since=(("BTCUSDT", NOW_MS), ("ADAUSDT", NOW_MS))) == []
    only_new_pair = history(since=(("BTCUSDT", NOW_MS),))
    assert {m.symbol for m in only_new_pair} == {"ADAUSDT"}
    assert set(only_new_pair) == {m for m in whole if m.symbol == "ADAUSDT"}


def test_a_candle_that_closes_live_is_announced_as_history_would() -> None:
    boundary = NOW_MS // (4 * HOUR_MS) * 4 * HOUR_MS
    announced = [
        m for m in live(boundary, boundary + 10, pairs=ALL_PAIRS) if m.kind == "kline" and '"x":true' in m.data
    ]
    later = set(history(ALL_PAIRS, now_ms=boundary + 20))
    assert len(announced) == 5 * len(ALL_PAIRS)  # all but the day
    assert set(announced) <= later


def test_books_are_ordered_uncrossed_and_around_the_last_trade() -> None:
    start = NOW_MS // MINUTE_MS * MINUTE_MS
    published = live(start, start + 20_000, pairs=ALL_PAIRS)
    last_ids: dict[str, int] = {}
    prices: dict[str, Decimal] = {}
    books = 0
    for message in published:
        event = json.loads(message.data)
        if message.kind == "trade":
            prices[message.symbol] = Decimal(event["p"])
        elif message.kind == "depthUpdate":
            books += 1
            bids, asks = ([Decimal(price) for price, _ in event[side]] for side in "ba")
            assert (len(bids), len(asks)) == (20, 20)
            assert bids == sorted(set(bids), reverse=True)
            assert asks == sorted(set(asks))
            assert bids[0] < asks[0]
            assert all(Decimal(quantity) > 0 for _, quantity in event["b"] + event["a"])
            if message.symbol in prices:
                assert prices[message.symbol] in (bids[0], asks[0])
            assert last_ids.get(message.symbol, 0) <= event["pu"] < event["U"] <= event["u"]
            last_ids[message.symbol] = event["u"]
    assert books == 200


def test_every_message_can_be_stored() -> None:
    start = NOW_MS // HOUR_MS * HOUR_MS
    published = live(start, start + MINUTE_MS, pairs=ALL_PAIRS) + history(timeframes=(Timeframe.D1,))
    rows, dead = ingested([message.encoded()[0] for message in published], NOW_MS)
    assert dead == []
    assert len(rows) == len(published)
    assert len({message.encoded()[1] for message in published}) == len(published)


def test_the_foreseen_funding_rate_ends_at_the_settled_one() -> None:
    market = Exchange(1, TWO_PAIRS).pairs[0]
    settled_ms = NOW_MS // FUNDING_INTERVAL_MS * FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS
    assert abs(market.predicted_rate(settled_ms - 1) - market.funding_rate(settled_ms)) <= 1
    rates = [market.funding_rate(settled_ms + k * FUNDING_INTERVAL_MS) / 1e8 for k in range(500)]
    assert -0.001 < min(rates) < 0 < np.mean(rates) < max(rates) < 0.001


def test_prices_look_like_a_market() -> None:
    """Ranges wide enough for any seed: a familiar level, ordinary volatility, heavy tails, pairs that move together."""
    exchange = Exchange(7, ALL_PAIRS)
    end = NOW_MS // DAY_MS * DAY_MS
    returns = []
    for market in exchange.pairs:
        days = market.candles(Timeframe.D1, end - 400 * DAY_MS, end)
        minutes = market.minutes(end - 20 * DAY_MS, end)
        assert days is not None
        assert minutes is not None
        level = days.close * market.pair.tick_value / market.pair.price
        assert 0.1 < level.min() < level.max() < 10
        change = np.diff(np.log(days.close))
        returns.append(change)
        assert 0.6 < change.std() / market.pair.daily_volatility < 2
        fine = np.diff(np.log(minutes.close.astype(float)))
        assert kurtosis(fine) > 3
        assert (minutes.volume > 0).all()
        assert (minutes.buy_volume < minutes.volume).all()
    assert np.corrcoef(returns)[np.triu_indices(5, 1)].min() > 0.3


@pytest.mark.parametrize(
    ("units", "digits", "text"),
    [(0, 2, "0.00"), (5, 2, "0.05"), (-5, 2, "-0.05"), (12345, 2, "123.45"), (-12345, 3, "-12.345"), (7, 0, "7")],
)
def test_decimals_are_written_exactly(units: int, digits: int, text: str) -> None:
    assert decimal_text(units, digits) == text
