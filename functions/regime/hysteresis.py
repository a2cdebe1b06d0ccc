"""Levels that do not flicker: a threshold has to be passed clearly, and a level is kept for some bars."""

import math
from collections.abc import Iterable
from typing import Final

from functions.regime.rules import Scale

# A level changes when its threshold is passed by this share of it …
MARGIN: Final = 0.05
# … and not before it has stood for this many bars.
DWELL_BARS: Final = 3


def stable_level(scale: Scale, values: Iterable[float]) -> int | None:
    """Return the level that values of one bar after the other lead to.

    Args:
        scale: the thresholds.
        values: oldest first; at one that is not a number the level stays.

    Returns:
        Number of the level, None without any number. The walk starts at the plain level of the first one.
    """
    level: int | None = None
    bars = 0
    for value in values:
        bars += 1
        if not math.isfinite(value):
            continue
        if level is None:
            level, bars = scale.level(value), 1
        elif bars > DWELL_BARS and (moved := _moved(scale, level, value)) != level:
            level, bars = moved, 1
    return level


def _moved(scale: Scale, level: int, value: float) -> int:
    """Return the level of ``value`` when each threshold stands further away from ``level`` by the margin."""
    lower, upper = scale.lower, scale.upper
    lower += abs(lower) * (MARGIN if level < 1 else -MARGIN)
    upper += abs(upper) * (MARGIN if level < 2 else -MARGIN)
    return Scale(scale.names, lower, upper).level(value)
