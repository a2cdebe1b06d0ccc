"""How the suites of the market store open the store that they judge."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import pytest
from hypothesis import HealthCheck

from common.models.families import Family
from common.storage.ports import MarketStore

T = TypeVar("T")
# Opens a store on the data of this test; opened twice it is two store objects on the same data.
OpenStore = Callable[[], AbstractAsyncContextManager[MarketStore]]

FAMILIES = list(Family)
IDENTIFIED = [Family.TRADES, Family.AGG_TRADES, Family.DEPTH]
# One property runs for several adapters, each example on data of its own.
INHERITED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


def using(open_store: OpenStore, scenario: Callable[[MarketStore], Awaitable[T]]) -> T:
    """Run a scenario on a store that is closed afterwards."""

    async def run() -> T:
        async with open_store() as store:
            return await scenario(store)

    return asyncio.run(run())


class StoreOpened:
    """Inherit, and override the fixture ``open_store``."""

    # Whether readers see a batch whole or not at all; without transactions only each row is.
    batches_are_atomic = True

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError

    @pytest.fixture
    def open_fresh(self) -> Callable[[], AbstractAsyncContextManager[MarketStore]]:
        """Opens a store on data of its own at each call; for tests with many examples."""
        raise NotImplementedError
