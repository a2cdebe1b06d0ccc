"""What the status of an answer to an event means: Knative's retry table, and what it says of a whole sink."""

from enum import Enum
from http import HTTPStatus
from typing import Final

# Client errors that Knative's broker tries again, as it does all of 5xx.
_RETRIED: Final = frozenset({404, 408, 409, 429})
# Client errors that speak of the sink's address or of permissions: no event is at fault.
_NOT_THE_EVENT: Final = frozenset({401, 403, 405, 407, 421, 425, 426})


class Outcome(Enum):
    """What became of an event at a sink."""

    TAKEN = "taken"
    REFUSED = "refused"  # it can never be processed
    FAILED = "failed"  # it may be taken later


def is_success(status: int) -> bool:
    """Tell whether the event was taken, as far as the status says."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def is_retried(status: int) -> bool:
    """Tell whether Knative sends the event again."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _RETRIED


def outcome_of(status: int) -> Outcome:
    """Return what the answer of a sink means for the event.

    Unlike a subscriber, a sink takes every kind of event: one that is away, moved or locked is waited for.
    """
    if is_success(status):
        return Outcome.TAKEN
    is_client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if is_client_error and not is_retried(status) and status not in _NOT_THE_EVENT:
        return Outcome.REFUSED
    return Outcome.FAILED
