"""The pairs of the simulated market and how their numbers are written.

Prices are whole ticks and quantities whole lots everywhere inside, so sums are exact; writing makes decimals of them.
"""

from dataclasses import dataclass
from typing import Final

from common.errors import ConfigurationError


@dataclass(frozen=True)
class Pair:
    """A traded pair.

    Attributes:
        symbol: its name.
        price: the price that the market keeps returning to over months.
        tick: the smallest step of the price, in units of the last price digit.
        price_digits: digits after the point of a price.
        quantity_digits: digits after the point of a quantity; a lot is one unit of the last one.
        daily_volatility: standard deviation of a day's logarithmic return in ordinary times.
        beta: how much of it is the whole market's, as correlation with the common factor.
        trades_per_day: ordinary number of trades.
        volume_per_day: ordinary base volume.
    """

    symbol: str
    price: float
    tick: int
    price_digits: int
    quantity_digits: int
    daily_volatility: float
    beta: float
    trades_per_day: int
    volume_per_day: float

    @property
    def tick_value(self) -> float:
        """The smallest step of the price."""
        return self.tick / 10.0**self.price_digits

    @property
    def lots_per_day(self) -> float:
        """Ordinary base volume in lots."""
        return self.volume_per_day * 10.0**self.quantity_digits

    def price_text(self, ticks: int) -> str:
        """Write a price."""
        return decimal_text(ticks * self.tick, self.price_digits)

    def quantity_text(self, lots: int) -> str:
        """Write a quantity."""
        return decimal_text(lots, self.quantity_digits)

    def quote_text(self, ticks_times_lots: int) -> str:
        """Write a sum of price × quantity, exactly."""
        return decimal_text(ticks_times_lots * self.tick, self.price_digits + self.quantity_digits)


def decimal_text(units: int, digits: int) -> str:
    """Write a whole number of units of the last digit as a decimal with ``digits`` digits after the point."""
    if digits == 0:
        return str(units)
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, fraction = divmod(units, 10**digits)
    return f"{sign}{whole}.{fraction:0{digits}d}"


PAIRS: Final = {
    pair.symbol: pair
    for pair in (
        Pair("BTCUSDT", 68_000.0, 10, 2, 3, 0.026, 0.92, 260_000, 180_000.0),
        Pair("ETHUSDT", 2_600.0, 1, 2, 3, 0.035, 0.88, 220_000, 2_400_000.0),
        Pair("BNBUSDT", 590.0, 10, 3, 2, 0.029, 0.78, 130_000, 420_000.0),
        Pair("ADAUSDT", 0.55, 10, 5, 0, 0.046, 0.74, 110_000, 720_000_000.0),
        Pair("SOLUSDT", 150.0, 100, 4, 2, 0.047, 0.80, 160_000, 18_000_000.0),
    )
}


def pairs_named(symbols: tuple[str, ...]) -> tuple[Pair, ...]:
    """Return the pairs of these names.

    Raises:
        ConfigurationError: the market has no such pair.
    """
    for symbol in symbols:
        if symbol not in PAIRS:
            raise ConfigurationError(f"--pairs: expected some of {', '.join(PAIRS)}, was {symbol!r}")
    return tuple(PAIRS[symbol] for symbol in symbols)
