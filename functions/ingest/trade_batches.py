"""Whole batches of trades, which are most of the traffic: one proof for all of them instead of one for each.

A batch in which anything is unusual is left to ``functions.ingest.rows``, which looks at each message and says what is
wrong with it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from common.models.rows import TradeRow
from common.times import EARLIEST_EVENT_MS
from functions.ingest.rows import POSITIVE, known_symbols

_are_pairs: Final = re.compile(f"(?:{POSITIVE},{POSITIVE};)++").fullmatch
_new_tuple: Final = tuple.__new__
# A message of another form, without data, of a symbol not seen before, or none at all.
_UNUSUAL: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, AttributeError, KeyError)


def trade_rows(messages: Sequence[bytes], decode: Callable[[bytes], Any], latest_ms: int) -> list[TradeRow] | None:
    """Return the rows of a batch, or None when not every message is a sound trade of a known symbol."""
    symbols = known_symbols()
    try:
        events = [decode(message).data for message in messages]
        numbers = "".join([f"{event.p},{event.q};" for event in events])
        times = [event.T for event in events]
        if min(times) < EARLIEST_EVENT_MS or max(times) > latest_ms:
            return None
        # As many pairs as events: no text has brought a separator of its own.
        if numbers.count(";") != len(events) or _are_pairs(numbers) is None:
            return None
        return [
            _new_tuple(TradeRow, (symbols[event.s], event.T, event.t, event.p, event.q, event.m)) for event in events
        ]
    except _UNUSUAL:
        return None
