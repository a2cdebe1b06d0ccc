"""Data of the system's own events: what is asked for (audit, analytics, retention) and what was computed.

JSON objects with the field names of DESIGN §6. Builders give each event a deterministic id made of its cause, so that
the same cause never acts twice; readers say which field was wrong.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from common.errors import InvalidEvent, MalformedEvent
from common.events import types
from common.events.envelope import JSON, Event
from common.symbols import is_symbol
from common.timeframes import Timeframe
from common.times import LATEST_INSTANT_MS, parse_instant, to_iso

M = TypeVar("M", bound="EventData")


def _instant(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST_INSTANT_MS:
        return value
    if isinstance(value, str):
        try:
            return parse_instant(value)
        except ValueError:
            pass
    raise ValueError("an ISO-8601 instant between 1970 and 9999")


def _symbol(value: str) -> str:
    if not is_symbol(value):
        raise ValueError("a symbol of 2 to 30 upper-case letters, digits or underscores")
    return value


Symbol = Annotated[str, AfterValidator(_symbol)]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
InstantMs = Annotated[
    int,
    BeforeValidator(_instant),
    PlainSerializer(to_iso),
    Field(validation_alias="as_of", serialization_alias="as_of"),
]


class EventData(BaseModel):
    """Data of one kind of event. Unknown fields are ignored, so that a newer sender is still understood."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    def to_json(self) -> bytes:
        """Return the data as it travels."""
        return self.model_dump_json(by_alias=True).encode()


class AnalyticsRequested(EventData):
    """A metric is to be computed from what had happened by ``as_of_ms``.

    Attributes:
        metric: which calculator.
        symbols: the pair; several for a metric that compares pairs.
        timeframe: which candles; nothing for a metric of order books.
        as_of_ms: the instant that the document is about.
    """

    metric: MetricName
    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1)]
    timeframe: Timeframe | None = None
    as_of_ms: InstantMs

    @property
    def symbol(self) -> str | None:
        """The pair, when the request is about one only."""
        return self.symbols[0] if len(self.symbols) == 1 else None

    def one_symbol(self) -> str:
        """Return the pair of a metric that is about one.

        Raises:
            InvalidEvent: the request names several.
        """
        if self.symbol is None:
            raise InvalidEvent("symbols", "one symbol", self.symbols)
        return self.symbol

    def one_timeframe(self) -> Timeframe:
        """Return the timeframe of a metric of candles.

        Raises:
            InvalidEvent: the request names none.
        """
        if self.timeframe is None:
            raise InvalidEvent("timeframe", "one of " + ", ".join(Timeframe))
        return self.timeframe


class AuditRequested(EventData):
    """The candles of one pair and timeframe are to be audited as they stood at ``as_of_ms``."""

    symbol: Symbol
    timeframe: Timeframe
    as_of_ms: InstantMs


class RetentionRequested(EventData):
    """What is older than its configured age is to be deleted."""

    as_of_ms: InstantMs


class AnalyticsComputed(EventData):
    """A document was computed and stored; ``document`` is its body as the API serves it.

    Attributes:
        metric: what was computed.
        symbol: about which pair, or the market.
        timeframe: from which candles, if any.
        as_of_ms: the instant that it is about; with the three above the key of the stored document.
        document: its body.
        omitted: fields that the body lacks here, because they would make the event too large to be carried
            everywhere. The stored document has them.
    """

    metric: MetricName
    symbol: str
    timeframe: Timeframe | None = None
    as_of_ms: InstantMs
    document: Mapping[str, Any]
    omitted: tuple[str, ...] = ()


def analytics_requested(data: AnalyticsRequested, *, source: str, cause: str) -> Event:
    """Return the event that asks for one document."""
    return Event(
        type=types.ANALYTICS_REQUESTED,
        source=source,
        id=event_id(cause, data.metric, data.symbol, data.timeframe),
        subject=data.symbol,
        time_ms=data.as_of_ms,
        datacontenttype=JSON,
        data=data.to_json(),
        extensions=_named(metric=data.metric, timeframe=data.timeframe),
    )


def audit_requested(data: AuditRequested, *, source: str, cause: str) -> Event:
    """Return the event that asks for the audit of one series."""
    return Event(
        type=types.AUDIT_REQUESTED,
        source=source,
        id=event_id(cause, data.symbol, data.timeframe),
        subject=data.symbol,
        time_ms=data.as_of_ms,
        datacontenttype=JSON,
        data=data.to_json(),
        extensions=_named(timeframe=data.timeframe),
    )


def retention_requested(data: RetentionRequested, *, source: str, cause: str) -> Event:
    """Return the event that asks for the deletion of what is too old."""
    return Event(
        type=types.RETENTION_REQUESTED,
        source=source,
        id=event_id(cause),
        time_ms=data.as_of_ms,
        datacontenttype=JSON,
        data=data.to_json(),
    )


def analytics_computed(data: AnalyticsComputed, *, source: str, cause: str, time_ms: int) -> Event:
    """Return the event that tells of one document.

    Args:
        data: the document.
        source: the calculator.
        cause: id of the request; the same request computed again tells the same event.
        time_ms: when it was computed.
    """
    return Event(
        type=types.ANALYTICS_COMPUTED,
        source=source,
        id=event_id(cause, "computed", data.metric, data.symbol),
        subject=data.symbol,
        time_ms=time_ms,
        datacontenttype=JSON,
        data=data.to_json(),
        extensions=_named(metric=data.metric, timeframe=data.timeframe),
    )


def decode_analytics_requested(event: Event) -> AnalyticsRequested:
    """Read a request for a document.

    Raises:
        MalformedEvent: the data is not JSON.
        InvalidEvent: a field is missing or wrong; it is named.
    """
    return _decoded(AnalyticsRequested, event)


def decode_audit_requested(event: Event) -> AuditRequested:
    """Read a request for an audit; raises as ``decode_analytics_requested``."""
    return _decoded(AuditRequested, event)


def decode_retention_requested(event: Event) -> RetentionRequested:
    """Read a request for retention; raises as ``decode_analytics_requested``."""
    return _decoded(RetentionRequested, event)


def decode_analytics_computed(event: Event) -> AnalyticsComputed:
    """Read a computed document; raises as ``decode_analytics_requested``."""
    return _decoded(AnalyticsComputed, event)


def event_id(*parts: str | None) -> str:
    """Join what makes an event unique, from the general to the particular; absent parts leave no trace."""
    return "/".join(part for part in parts if part)


def _named(**extensions: str | None) -> dict[str, str]:
    return {name: str(value) for name, value in extensions.items() if value is not None}


def _decoded(model: type[M], event: Event) -> M:
    try:
        return model.model_validate_json(event.data)
    except ValidationError as error:
        raise _explained(error) from error


_NOT_JSON: Final = "json_invalid"


def _explained(error: ValidationError) -> MalformedEvent | InvalidEvent:
    first = error.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == _NOT_JSON:
        return MalformedEvent(f"the data of the event was not JSON: {message}")
    field = ".".join(map(str, first["loc"])) or "data"
    if first["type"] == "missing":
        return InvalidEvent(field, "a value")
    return InvalidEvent(field, message, first["input"])
