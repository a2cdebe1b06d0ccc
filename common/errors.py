"""Every error that the system raises on purpose, in one tree.

::

    PetrosaError                    500
    ├── SenderError                 422  the sender is wrong: never retry, the sender changes what it sends
    │   ├── MalformedEvent          400  not a CloudEvent, or its data does not parse
    │   ├── FieldError              422  a named field is not what the contract says
    │   │   ├── InvalidEvent        422  of an event
    │   │   └── InvalidRequest      422  of an HTTP request: a parameter, or a field of its body
    │   ├── PayloadTooLarge         413  the body is above the limit of the function
    │   └── NotFound                404  the single thing asked for does not exist (route groups only)
    ├── TemporaryError              503  may pass by itself: retry; the operator looks when it lasts
    │   ├── StoreUnavailable        503  a store cannot be reached, is locked or has no space
    │   └── SinkUnavailable         503  the event sink did not take an event
    └── ConfigurationError          500  the process does not start: the operator mends the setting it names
        └── StateMismatch           500  a state folder belongs to another market or data origin: choose another folder

Each class says which status it becomes; the mapping itself stands once, in ``common.host.errors``. An event function
never answers 404 or 409, because Knative retries both. The one-machine runner and the feeds add errors of their own for
what only they meet. Anything outside this tree is a bug: 500, logged with its traceback, retried.
"""

from typing import Final


class PetrosaError(Exception):
    """Root of the tree. ``status`` is the HTTP status that the error becomes at the edge."""

    status: int = 500
    code: str = "internal"


class SenderError(PetrosaError):
    """The sender is at fault: repeating the same input can never succeed."""

    status = 422
    code = "invalid"


class MalformedEvent(SenderError):
    """The request is not a CloudEvent, or its data is not in the form that its type promises."""

    status = 400
    code = "malformed_event"


class FieldError(SenderError):
    """A named field is not what the contract says.

    Args:
        field: dotted name of the field as the sender wrote it.
        expected: what would have been accepted.
        value: what was given, kept short for the answer.
        location: where a request carried the field (``query``, ``path``, ``body``).
    """

    def __init__(self, field: str, expected: str, value: object = None, *, location: str = "query") -> None:
        self.field = field
        self.expected = expected
        self.value = value
        self.location = location
        super().__init__(f"{field}: expected {expected}, was {shortened(value)}")


class InvalidEvent(FieldError):
    """An event whose field can never be processed."""

    code = "invalid_event"


class InvalidRequest(FieldError):
    """A request parameter or body field that cannot be served."""

    code = "invalid_request"


class PayloadTooLarge(SenderError):
    """The body is above the limit of the function."""

    status = 413
    code = "payload_too_large"


class NotFound(SenderError):
    """The single thing asked for does not exist. Lists are empty instead."""

    status = 404
    code = "not_found"


class TemporaryError(PetrosaError):
    """A fault that may pass by itself; the sender should retry after ``retry_after_s`` seconds."""

    status = 503
    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class StoreUnavailable(TemporaryError):
    """A store cannot be reached, is locked by another process, or has no space left."""

    code = "store_unavailable"


class SinkUnavailable(TemporaryError):
    """The event sink (``K_SINK``) did not take an event."""

    code = "sink_unavailable"


class ConfigurationError(PetrosaError):
    """A setting is missing or wrong; the process refuses to start and names it."""

    code = "configuration"


class StateMismatch(ConfigurationError):
    """The state folder belongs to another market or to data of another origin."""

    code = "state_mismatch"


_SHOWN_CHARACTERS: Final = 80


def shortened(value: object, limit: int = _SHOWN_CHARACTERS) -> str:
    """Return ``repr(value)`` cut to ``limit`` characters, for error texts and logs."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
