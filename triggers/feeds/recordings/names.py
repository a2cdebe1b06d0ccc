"""What the name of a file says: market, symbol and timeframe.

Both manners are read: ``um_1h_BTCUSDT_2025-09_2025-12.csv.gz`` and the exchange's ``BTCUSDT-1h-2024-01.zip``.
"""

import re
from pathlib import PurePath
from typing import Final, NamedTuple

from common.timeframes import Timeframe

_TIMEFRAMES: Final = frozenset(map(str, Timeframe))
_MARKETS: Final = frozenset({"um", "spot", "cm", "us", "tr"})
# A pair has letters, and no lower-case ones; a delivery contract carries its date: BTCUSDT_240927.
_SYMBOL: Final = re.compile(r"(?:^|[-_.])(?P<symbol>[A-Z0-9]*[A-Z]{3,}[A-Z0-9]*(?:_\d{6}(?=[-.]|$))?)(?=[-_.]|$)")


class NameFacts(NamedTuple):
    """What a name says; ``None`` where it says nothing."""

    market: str | None
    symbol: str | None
    timeframe: str | None


def read_name(name: str) -> NameFacts:
    """Return what the name of a file, or of a member of an archive, says."""
    stem = PurePath(name).name
    parts = re.split(r"[-_.]", stem)
    market = parts[0] if parts[0] in _MARKETS else None
    timeframe = next((part for part in parts if part in _TIMEFRAMES), None)
    symbols = _SYMBOL.findall(stem)
    return NameFacts(market, symbols[0] if len(symbols) == 1 else None, timeframe)
