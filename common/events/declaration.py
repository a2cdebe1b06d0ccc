"""How an event of our own is declared: one class says its type, its data, its identity, and who emits it for whom.

What builds an event and what reads it follow from the class. Ids are made of the cause, so that the same cause never
acts twice; readers say which field was wrong.
"""

from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from common.errors import InvalidEvent, MalformedEvent
from common.events.envelope import JSON, Event
from common.symbols import is_symbol
from common.times import LATEST_INSTANT_MS, parse_instant, to_iso

_NOT_JSON: Final = "json_invalid"


class EventData(BaseModel):
    """Data of one kind of event. Unknown fields are ignored, so that a newer sender is still understood.

    Attributes:
        TYPE: of the event.
        WAY: who emits it, and who listens, for people.
        IDENTITY: fields that tell the events of one cause apart.
        EXTENSIONS: fields that travel as extension attributes too, for filters.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    TYPE: ClassVar[str]
    WAY: ClassVar[str]
    IDENTITY: ClassVar[tuple[str, ...]] = ()
    EXTENSIONS: ClassVar[tuple[str, ...]] = ()

    @property
    def subject(self) -> str | None:
        """Subject of the event: the symbol, when it is about one."""
        return getattr(self, "symbol", None)

    def to_event(self, *, source: str, cause: str, time_ms: int) -> Event:
        """Return the event that carries these data.

        Args:
            source: URI path of whoever emits it.
            cause: what made it due; the same cause gives the same id.
            time_ms: when it happened.
        """
        return Event(
            type=self.TYPE,
            source=source,
            id=event_id(cause, *self._texts(self.IDENTITY).values()),
            subject=self.subject,
            time_ms=time_ms,
            datacontenttype=JSON,
            data=self.model_dump_json(by_alias=True).encode(),
            extensions=self._texts(self.EXTENSIONS),
        )

    @classmethod
    def of(cls, event: Event) -> Self:
        """Read the data of an event.

        Raises:
            MalformedEvent: the data is not JSON.
            InvalidEvent: it is of another type, or a field is missing or wrong; it is named.
        """
        if event.type != cls.TYPE:
            raise InvalidEvent("type", cls.TYPE, event.type)
        try:
            return cls.model_validate_json(event.data)
        except ValidationError as error:
            raise _explained(error) from error

    def _texts(self, names: tuple[str, ...]) -> dict[str, str]:
        values = {name: getattr(self, name) for name in names}
        return {name: str(value) for name, value in values.items() if value is not None}


def event_id(*parts: str) -> str:
    """Join what makes an event unique, from the general to the particular."""
    return "/".join(parts)


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
AsOf = Annotated[
    int,
    BeforeValidator(_instant),
    PlainSerializer(to_iso),
    Field(validation_alias="as_of", serialization_alias="as_of"),
]


def _explained(error: ValidationError) -> MalformedEvent | InvalidEvent:
    first = error.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == _NOT_JSON:
        return MalformedEvent(f"the data of the event was not JSON: {message}")
    field = ".".join(map(str, first["loc"])) or "data"
    if first["type"] == "missing":
        return InvalidEvent(field, "a value")
    return InvalidEvent(field, message, first["input"])
