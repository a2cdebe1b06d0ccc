"""The one place where errors become HTTP answers."""

import json
from typing import Any, Final

from starlette.responses import Response

from common.errors import FieldError, PetrosaError, TemporaryError, shortened

INTERNAL: Final = {"error": "Internal server error"}


class ErrorAnswer(Response):
    """A JSON error."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return json.dumps(content, separators=(",", ":")).encode()


def headers_of(error: PetrosaError) -> dict[str, str] | None:
    """Return the headers that belong to an error: when to come back."""
    return {"retry-after": str(error.retry_after_s)} if isinstance(error, TemporaryError) else None


def event_answer(error: PetrosaError) -> Response:
    """Answer an event that failed: short and free of secrets, because it travels on with the dead letter."""
    body: dict[str, object] = {"error": error.code, "detail": str(error)}
    if isinstance(error, FieldError):
        body["field"] = error.field
    return ErrorAnswer(body, status_code=error.status, headers=headers_of(error))


def request_answer(error: PetrosaError) -> Response:
    """Answer an HTTP request that failed, in the shapes of the API (spec/data-api.md §0.1)."""
    return ErrorAnswer({"detail": _detail(error)}, status_code=error.status, headers=headers_of(error))


def _detail(error: PetrosaError) -> object:
    if isinstance(error, TemporaryError):
        return "Database not available" if error.code == "store_unavailable" else "Temporarily not available"
    if isinstance(error, FieldError):
        return [field_detail(error)]
    return str(error) if error.status < 500 else INTERNAL["error"]


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
