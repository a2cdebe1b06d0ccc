"""CloudEvents: the envelope, the types that this system knows, and the builders of its own events."""

from common.events.envelope import Event, from_http, to_http

__all__ = ["Event", "from_http", "to_http"]
