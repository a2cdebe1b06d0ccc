"""Candles of the simulated market, in whole ticks and lots: columns of a day's minutes, and sums of them."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triggers.feeds.market.day_block import BUCKETS_PER_MINUTE, MINUTES_PER_DAY, DayBlock

Ints = NDArray[np.int64]


class Bars(NamedTuple):
    """Candles that follow each other without a gap; one array element each.

    Attributes:
        open: price of the first trade, in ticks; ``high``, ``low`` and ``close`` likewise.
        volume: lots traded.
        quote_volume: sum of price × quantity, in ticks × lots.
        buy_volume: lots of the trades whose buyer was the taker.
        buy_quote_volume: ticks × lots of these.
        first_trade_id: id of the first trade.
        trades: number of trades; their ids follow each other.
    """

    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    quote_volume: Ints
    buy_volume: Ints
    buy_quote_volume: Ints
    first_trade_id: Ints
    trades: Ints

    def part(self, start: int, stop: int) -> "Bars":
        """Return the candles from ``start`` up to ``stop``."""
        return Bars(*(column[start:stop] for column in self))

    def joined(self, count: int) -> "Bars":
        """Return one candle for each ``count`` of these, which must go into their number without a rest."""
        starts = np.arange(0, len(self.open), count)
        return Bars(
            open=self.open[::count],
            high=np.maximum.reduceat(self.high, starts),
            low=np.minimum.reduceat(self.low, starts),
            close=self.close[count - 1 :: count],
            volume=np.add.reduceat(self.volume, starts),
            quote_volume=np.add.reduceat(self.quote_volume, starts),
            buy_volume=np.add.reduceat(self.buy_volume, starts),
            buy_quote_volume=np.add.reduceat(self.buy_quote_volume, starts),
            first_trade_id=self.first_trade_id[::count],
            trades=np.add.reduceat(self.trades, starts),
        )


def minute_bars(block: DayBlock) -> Bars:
    """Return the 1440 one-minute candles of a day."""
    shape: Final = (MINUTES_PER_DAY, BUCKETS_PER_MINUTE)
    first, middle, reach = (column.reshape(shape) for column in (block.first_price, block.middle_price, block.reach))
    buys, sells = block.buy_lots.reshape(shape), block.sell_lots.reshape(shape)
    lots = buys + sells
    return Bars(
        first[:, 0].copy(),
        (middle + reach).max(axis=1),
        (middle - reach).min(axis=1),
        2 * middle[:, -1] - first[:, -1],
        lots.sum(axis=1),
        (middle * lots).sum(axis=1),
        buys.sum(axis=1),
        (middle * buys).sum(axis=1),
        block.first_trade_id.reshape(shape)[:, 0].copy(),
        2 * block.units.reshape(shape).sum(axis=1),
    )


def concatenated(parts: list[Bars]) -> Bars:
    """Return candles one after the other."""
    return Bars(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
