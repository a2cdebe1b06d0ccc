"""Sends events over HTTP: one request, one answer. Whether to try again is not decided here."""

import asyncio
from functools import lru_cache
from typing import Final

import httpcore

from infra.local.broker.delivery import Returned, judged, no_answer
from infra.local.broker.message import Message

# The platform's own bound on a request without a timeout of its own.
_LONGEST_REQUEST_S: Final = 900.0
_CONNECTIONS: Final = 256
# Shorter than any server here keeps a connection, so that none is used while it is being closed.
_KEEP_ALIVE_S: Final = 4.0


class Poster:
    """Sends events in binary mode over kept-alive connections."""

    def __init__(self, namespace: str) -> None:
        self._fixed = ((b"prefer", b"reply"), (b"kn-namespace", namespace.encode()))
        # One pool for each address: a pool looks at all its idle connections whenever it is asked for one.
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    async def send(self, url: str, message: Message, *, timeout_s: float | None) -> Returned:
        """Send an event once; a fault of the network is an answer as well.

        Args:
            url: where to.
            message: the event.
            timeout_s: for the request as a whole.
        """
        headers = [*message.headers, *self._fixed]
        try:
            async with asyncio.timeout(timeout_s or _LONGEST_REQUEST_S):
                response = await self._pool(url).request("POST", _parsed(url), headers=headers, content=message.body)
        except TimeoutError:
            return no_answer(f"no response within {timeout_s or _LONGEST_REQUEST_S:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            return no_answer(f"{type(error).__name__} {error}".strip())
        received = tuple((name.lower(), value) for name, value in response.headers)
        return judged(response.status, received, response.content)

    async def close(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, url: str) -> httpcore.AsyncConnectionPool:
        if url not in self._pools:
            self._pools[url] = httpcore.AsyncConnectionPool(
                max_connections=_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_S
            )
        return self._pools[url]


@lru_cache(maxsize=1024)
def _parsed(url: str) -> httpcore.URL:
    return httpcore.URL(url)
