"""The query parameter that names several pairs."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from common.errors import InvalidRequest
from common.host.parameters import expected
from common.symbols import parse_symbols

MAX_PAIRS: Final = 200


def _read(given: Any) -> tuple[str, ...]:
    """Read a comma-separated list; a parameter that is repeated is one list."""
    text = given if isinstance(given, str) else ",".join(map(str, given))
    try:
        pairs = parse_symbols(text)
    except InvalidRequest as error:
        raise expected(error.expected) from error
    if len(pairs) > MAX_PAIRS:
        raise expected(f"at most {MAX_PAIRS} symbols")
    return tuple(pairs)


Pairs = Annotated[
    tuple[str, ...],
    BeforeValidator(_read),
    WithJsonSchema(
        {"type": "string", "description": "Trading symbols, separated by commas.", "examples": ["BTCUSDT,ETHUSDT"]}
    ),
]
