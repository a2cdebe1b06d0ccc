"""The candle intervals: their length, their grid, and how many of them make a year."""

from enum import StrEnum

from common.errors import InvalidRequest
from common.times import DAY_MS, HOUR_MS, MINUTE_MS


class Timeframe(StrEnum):
    """An interval as Binance writes it. Candles are keyed by the open time of the interval."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"

    @property
    def duration_ms(self) -> int:
        """Length of one candle."""
        return _DURATIONS[self]

    @property
    def bars_per_year(self) -> float:
        """Candles in a year of 365 days: crypto markets trade around the clock."""
        return 365 * DAY_MS / self.duration_ms

    def floor(self, instant_ms: int) -> int:
        """Return the open time of the candle that ``instant_ms`` falls into."""
        return instant_ms - instant_ms % self.duration_ms

    def ceil(self, instant_ms: int) -> int:
        """Return the first open time at or after ``instant_ms``."""
        return -(-instant_ms // self.duration_ms) * self.duration_ms

    @classmethod
    def parse(cls, text: str, *, field: str = "period") -> "Timeframe":
        """Return the timeframe that ``text`` names.

        Raises:
            InvalidRequest: the interval is not stored here.
        """
        try:
            return cls(text.strip())
        except ValueError:
            raise InvalidRequest(field, "one of " + ", ".join(cls), text) from None


_DURATIONS: dict[Timeframe, int] = {
    Timeframe.M1: MINUTE_MS,
    Timeframe.M3: 3 * MINUTE_MS,
    Timeframe.M5: 5 * MINUTE_MS,
    Timeframe.M15: 15 * MINUTE_MS,
    Timeframe.M30: 30 * MINUTE_MS,
    Timeframe.H1: HOUR_MS,
    Timeframe.H2: 2 * HOUR_MS,
    Timeframe.H4: 4 * HOUR_MS,
    Timeframe.H6: 6 * HOUR_MS,
    Timeframe.H8: 8 * HOUR_MS,
    Timeframe.H12: 12 * HOUR_MS,
    Timeframe.D1: DAY_MS,
}
