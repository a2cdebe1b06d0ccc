"""Emitting events to the sink that the platform injects (``K_SINK``, ``K_CE_OVERRIDES``)."""

import json
import os
from typing import TYPE_CHECKING, Final

from common.errors import ConfigurationError, SinkUnavailable
from common.events.envelope import Event, to_http
from common.telemetry.tracing import with_trace

if TYPE_CHECKING:
    import httpcore

_CONNECTIONS: Final = 8
_SUCCESS: Final = range(200, 300)


class EventSink:
    """Posts events to one URL over kept-alive connections. The HTTP client loads at the first event."""

    def __init__(self, url: str | None, *, timeout_s: float = 30.0) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._overrides = _overrides(os.environ.get("K_CE_OVERRIDES"))
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def emit(self, event: Event) -> None:
        """Hand one event to the sink; returns when the sink has taken it.

        Raises:
            SinkUnavailable: no sink is set, it did not answer in time, or it answered anything but 2xx.
        """
        if self._url is None:
            raise SinkUnavailable("no sink to emit to: K_SINK is not set")
        headers, body = to_http(with_trace(event))
        for name, value in self._overrides.items():
            headers[f"ce-{name}"] = value
        status = await self._post(self._url, headers, body)
        if status not in _SUCCESS:
            raise SinkUnavailable(f"the sink answered {status} to {event.type}")

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        import httpcore

        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(max_connections=_CONNECTIONS, retries=1)
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            response = await self._pool.request(
                "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": timeout}
            )
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise SinkUnavailable(f"the sink did not answer: {type(error).__name__}") from error
        return response.status

    async def close(self) -> None:
        """Close the connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()


def _overrides(setting: str | None) -> dict[str, str]:
    if not setting:
        return {}
    try:
        extensions = json.loads(setting).get("extensions") or {}
    except (ValueError, AttributeError) as error:
        raise ConfigurationError("K_CE_OVERRIDES: expected a JSON object with extensions") from error
    return {str(name): str(value) for name, value in extensions.items()}
