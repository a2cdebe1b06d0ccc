"""Opening what a function works with: the stores that it asks for, asked for readiness and closed with it."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, TypeVar

from common.host.context import Context, Opener
from common.storage.deferred import DeferredMetadata, defer_metadata_store
from common.storage.open import open_analytics_store, open_market_store
from common.storage.ports import AnalyticsStore, MarketStore


class _Store(Protocol):
    async def ping(self) -> None: ...

    async def close(self) -> None: ...


R = TypeVar("R")
S = TypeVar("S", bound=_Store)


class Opening:
    """The opening of one function's resources. What is opened here closes when the function stops.

    Attributes:
        context: the function's surroundings.
    """

    def __init__(self, context: Context, closing: AsyncExitStack) -> None:
        self.context = context
        self._closing = closing

    async def market_store(self) -> MarketStore:
        """Open the store of market data and dead letters."""
        return self._kept("market_store", await open_market_store(self.context.settings))

    async def analytics_store(self) -> AnalyticsStore:
        """Open the store of computed documents."""
        return self._kept("analytics_store", await open_analytics_store(self.context.settings))

    async def metadata_store(self) -> DeferredMetadata:
        """Make ready to open the store of watermarks, audits and catalog: at once, or when it is first used."""
        return self._kept("metadata_store", await defer_metadata_store(self.context.settings))

    def at_stop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have something closed when the function stops."""
        self._closing.push_async_callback(close)

    def _kept(self, name: str, store: S) -> S:
        self.at_stop(store.close)
        self.context.checks[name] = store.ping
        return store


def opener(make: Callable[[Opening], Awaitable[R]]) -> Opener[R]:
    """Make a function that opens resources what ``event_function`` and ``route_group`` take.

    Args:
        make: returns the resources, made of what the opening gives.
    """

    @asynccontextmanager
    async def opened(context: Context) -> AsyncIterator[R]:
        async with AsyncExitStack() as closing:
            yield await make(Opening(context, closing))

    return functools.wraps(make)(opened)
