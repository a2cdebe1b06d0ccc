"""Asks the NATS bridge whether it is connected and consuming. The bridge alone speaks NATS."""

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import httpcore

_OK: Final = 200


class Bridge(Protocol):
    """The bridge as the health routes see it."""

    async def is_ready(self) -> bool:
        """Tell whether the bridge says that it is ready."""
        ...

    async def close(self) -> None:
        """Release what was opened to ask it."""
        ...


class HttpBridge:
    """Asks ``/readyz`` of the bridge's health endpoint. The HTTP client loads at the first question.

    Args:
        url: address of that endpoint.
        timeout_s: bound of one question.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = f"{url.rstrip('/')}/readyz"
        self._timeout = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def is_ready(self) -> bool:
        """Tell whether the bridge says that it is ready; one that does not answer is not."""
        import httpcore

        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(max_connections=4)
        try:
            response = await self._pool.request("GET", self._url, extensions={"timeout": self._timeout})
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            return False
        return response.status == _OK

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.aclose()
