"""The form of a computed document: its body, its metadata, and how numbers are written.

Numbers become decimal strings that read back as the very same double: no exponent, no rounding. What is missing, not
a number or infinite is null; a zero is ``"0"``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from common.analytics.declaration import Field, Kind, Metric
from common.storage.ports import AnalyticsDocument
from common.timeframes import Timeframe
from common.times import to_iso

# What every document says besides its own fields.
BASIS: Final = (
    Field("timestamp", "UTC", "When it was computed.", shape=Kind.TEXT, always=True),
    Field("as_of", "UTC", "The instant that it is about: nothing later went in.", shape=Kind.TEXT, always=True),
    Field(
        "data_until", "UTC", "Close of the newest candle, or time of the newest book, that went in.", shape=Kind.TEXT
    ),
    Field("rows_used", "rows", "How many candles or books went in.", shape=Kind.INTEGER),
    Field("warmup_complete", "", "Whether recursive averages had forgotten their start.", shape=Kind.FLAG),
)

# What a calculator may put into a field. Whole numbers (counts, lags) stay numbers, floats become strings.
Value = float | int | str | bool | None | Mapping[Any, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Basis:
    """What a document rests on.

    Attributes:
        data_until_ms: close of the newest candle (or time of the newest book) that was used.
        rows_used: how many rows went in.
        window_rows: how many of them lie in the metric's window.
        window_slots: how many rows the window would hold without gaps.
        warmup_complete: whether every recursive average had forgotten its start.
    """

    data_until_ms: int
    rows_used: int
    window_rows: int
    window_slots: int
    warmup_complete: bool

    @property
    def completeness(self) -> float:
        """Rows present over rows expected in the window, in percent, at most 100."""
        if self.window_slots == 0:
            return 100.0
        return round(min(100.0, 100.0 * self.window_rows / self.window_slots), 2)


@dataclass(frozen=True, slots=True)
class Result:
    """One computed document, before it has a time and a form.

    Attributes:
        symbol: the pair it is about.
        fields: the metric's own fields by name.
        basis: what it rests on.
        parameters: ``metadata.parameters``.
        metric: name under which it is stored, when that is not the calculator's own.
    """

    symbol: str
    fields: Mapping[str, Value]
    basis: Basis
    parameters: Mapping[str, int | float | str] = field(default_factory=dict)
    metric: str | None = None


def document_of(
    result: Result, metric: Metric, timeframe: Timeframe | None, *, as_of_ms: int, computed_at_ms: int
) -> AnalyticsDocument:
    """Return the document of a result.

    Args:
        result: what was computed.
        metric: by which calculator.
        timeframe: from which candles, if any.
        as_of_ms: the instant that it is about.
        computed_at_ms: the present.
    """
    basis = result.basis
    head: dict[str, object] = {"symbol": result.symbol}
    if timeframe is not None:
        head["timeframe"] = timeframe.value
    body = {
        **head,
        "timestamp": to_iso(computed_at_ms),
        "as_of": to_iso(as_of_ms),
        "data_until": to_iso(basis.data_until_ms),
        "rows_used": basis.rows_used,
        "warmup_complete": basis.warmup_complete,
        **{name: encoded(value) for name, value in result.fields.items()},
        "metadata": {
            "method": metric.method,
            "window": metric.window,
            "parameters": dict(result.parameters),
            "completeness": basis.completeness,
            "computed_at": to_iso(computed_at_ms),
        },
    }
    return AnalyticsDocument(
        symbol=result.symbol,
        metric=result.metric or metric.name,
        timeframe=None if timeframe is None else timeframe.value,
        as_of_ms=as_of_ms,
        computed_at_ms=computed_at_ms,
        body=body,
    )


def encoded(value: Value) -> object:
    """Return a field's value ready for JSON; maps and lists are encoded all through, keys as text."""
    if isinstance(value, float):
        return decimal_string(value)
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): encoded(item) for key, item in value.items()}
    return [encoded(item) for item in value]


def decimal_string(number: float) -> str | None:
    """Return the shortest decimal that reads back as ``number``, without exponent; null when it is not finite."""
    if not math.isfinite(number):
        return None
    if number == 0:
        return "0"
    text = repr(float(number))
    plain = format(Decimal(text), "f") if "e" in text else text
    return plain.removesuffix(".0")
