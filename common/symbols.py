"""Trading symbols: the one rule for what may name a pair, on the wire and in a request."""

import re
from typing import Final

from common.errors import InvalidRequest

_SYMBOL: Final = re.compile(r"[A-Z0-9_]{2,30}")


def is_symbol(text: str) -> bool:
    """Tell whether ``text`` can name a pair: 2 to 30 of A–Z, 0–9 and underscore."""
    return _SYMBOL.fullmatch(text) is not None and text != "UNKNOWN"


def parse_symbol(text: str, *, field: str = "pair") -> str:
    """Return ``text`` trimmed and in upper case.

    Raises:
        InvalidRequest: it cannot name a pair.
    """
    symbol = text.strip().upper()
    if not is_symbol(symbol):
        raise InvalidRequest(field, "a symbol of 2 to 30 letters, digits or underscores", text)
    return symbol


def parse_symbols(text: str, *, field: str = "pairs") -> list[str]:
    """Return the symbols of a comma-separated list, each once, in the order given."""
    symbols = [parse_symbol(item, field=field) for item in text.split(",") if item.strip()]
    if not symbols:
        raise InvalidRequest(field, "at least one symbol", text)
    return list(dict.fromkeys(symbols))
