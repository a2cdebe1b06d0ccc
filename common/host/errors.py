"""The one place where errors become HTTP answers."""

import json
from typing import Any, Final

from starlette.responses import Response

from common.errors import FieldError, PetrosaError, TemporaryError, shortened

# Reads are open to any origin, and so is what went wrong with them.
ANY_ORIGIN: Final = {"access-control-allow-origin": "*"}
_BUG: Final = "Internal server error"


class ErrorAnswer(Response):
    """A JSON error."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return json.dumps(content, separators=(",", ":")).encode()


def headers_of(error: PetrosaError | None) -> dict[str, str]:
    """Return the headers that belong to an error: when to come back."""
    return {"retry-after": str(error.retry_after_s)} if isinstance(error, TemporaryError) else {}


def event_answer(error: PetrosaError | None) -> Response:
    """Answer an event that failed: short and free of secrets, because it travels on with the dead letter.

    Args:
        error: what went wrong; None for a bug, whose text stays in the log.
    """
    if error is None:
        return ErrorAnswer({"error": PetrosaError.code, "detail": _BUG}, status_code=PetrosaError.status)
    body: dict[str, object] = {"error": error.code, "detail": str(error)}
    if isinstance(error, FieldError):
        body["field"] = error.field
    return ErrorAnswer(body, status_code=error.status, headers=headers_of(error))


def request_answer(error: PetrosaError | None) -> Response:
    """Answer an HTTP request that failed, in the shapes of the API.

    Args:
        error: what went wrong; None for a bug, whose text stays in the log.
    """
    status = PetrosaError.status if error is None else error.status
    return ErrorAnswer({"detail": _detail(error)}, status_code=status, headers=ANY_ORIGIN | headers_of(error))


def not_allowed(*methods: str) -> Response:
    """Answer a request whose method nobody takes there."""
    headers = ANY_ORIGIN | {"allow": ", ".join(methods)}
    return ErrorAnswer({"detail": "Method Not Allowed"}, status_code=405, headers=headers)


def _detail(error: PetrosaError | None) -> object:
    if isinstance(error, TemporaryError):
        return "Database not available" if error.code == "store_unavailable" else "Temporarily not available"
    if isinstance(error, FieldError):
        return [field_detail(error)]
    return str(error) if error is not None and error.status < 500 else _BUG


def field_detail(error: FieldError) -> dict[str, object]:
    """Return one item of a 422 answer: which field, what was expected, what was given."""
    given = (
        error.value if isinstance(error.value, (int, float, bool, type(None))) else shortened(error.value).strip("'")
    )
    return {
        "type": "value_error",
        "loc": [error.location, error.field],
        "msg": f"expected {error.expected}",
        "input": given,
    }
