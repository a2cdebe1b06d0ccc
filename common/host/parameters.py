"""Parameters that the route groups share: how each is read, checked and documented.

They are pydantic types, so that a query model made of them validates a request, names every wrong field in the 422
answer, and describes itself in the OpenAPI document.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from common.errors import InvalidRequest
from common.storage.ports import Order
from common.symbols import parse_symbol
from common.timeframes import Timeframe
from common.times import parse_instant

MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 1_000_000_000


def expected(text: str) -> PydanticCustomError:
    """Return the error of a field that is not what was expected, in the words of the error tree."""
    return PydanticCustomError("value_error", "expected {expected}", {"expected": text})


def read_by(parse: Callable[[str], object]) -> BeforeValidator:
    """Return a validator that reads a parameter with ``parse``, one of our own parsing functions."""

    def read(text: Any) -> object:
        try:
            return parse(text)
        except InvalidRequest as error:
            raise expected(error.expected) from error

    return BeforeValidator(read)


def one_of(accepted: Sequence[str]) -> AfterValidator:
    """Return a validator that accepts these words only, and names them otherwise."""

    def check(word: str | None) -> str | None:
        if word is not None and word not in accepted:
            raise expected("one of " + ", ".join(accepted))
        return word

    return AfterValidator(check)


def _instant(text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise InvalidRequest("", "an ISO-8601 instant, or unix seconds or milliseconds", text) from error


def _lowered(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


_INSTANT_SCHEMA: Final = WithJsonSchema({"type": "string", "examples": ["2025-10-20T12:00:00Z", "1760961600000"]})

Pair = Annotated[str, read_by(parse_symbol), Field(description="Trading symbol, in any case.", examples=["BTCUSDT"])]
Period = Annotated[Timeframe, read_by(Timeframe.parse), Field(description="Candle interval.")]
Start = Annotated[
    int | None,
    read_by(_instant),
    _INSTANT_SCHEMA,
    Field(description="First instant included; without it, the newest rows before `end`. No offset means UTC."),
]
End = Annotated[
    int | None,
    read_by(_instant),
    _INSTANT_SCHEMA,
    Field(description="First instant no longer included; now when absent. No offset means UTC."),
]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Rows in the answer, at most.")]
Offset = Annotated[
    int, Field(ge=0, le=MAX_OFFSET, description="Rows to skip, counted from the side that the limit counts from.")
]
SortOrder = Annotated[Order, BeforeValidator(_lowered), Field(description="Order of the answer by time.")]


class Query(BaseModel):
    """What a request asks, by its parameters: none here. Unknown ones are ignored; equal queries are equal keys."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SpanQuery(Query):
    """Which span of a series."""

    start: Start = None
    end: End = None

    @field_validator("end")
    @classmethod
    def _not_before_start(cls, end_ms: int | None, info: ValidationInfo) -> int | None:
        start_ms = info.data.get("start")
        if start_ms is not None and end_ms is not None and end_ms < start_ms:
            raise expected("an instant that is not before start")
        return end_ms


class RangeQuery(SpanQuery):
    """Which rows of a series: the newest before ``end``, or the first from ``start`` on."""

    limit: Limit = 100
    offset: Offset = 0
    sort_order: SortOrder = "asc"
