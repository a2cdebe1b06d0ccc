"""The circuit breaker in front of a store: when it refuses, what it counts, how it closes."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest

from common.errors import InvalidRequest, StoreUnavailable
from common.storage.breaker import STATE, Breaker, guarded

THRESHOLD = 3


@dataclass
class Orders:
    """What a store is told to do, and how often it was asked."""

    outcome: BaseException | None = None
    asked: int = 0


class Store:
    """A store that does as it is told."""

    name = "sqlite"

    def __init__(self) -> None:
        self.orders = Orders()

    async def write(self, value: int, *, factor: int = 1) -> int:
        self.orders.asked += 1
        await asyncio.sleep(0)
        if self.orders.outcome is not None:
            raise self.orders.outcome
        return value * factor

    async def ping(self, *, write: bool = False) -> None:
        await self.write(1)

    never_waits = ("revision",)

    async def revision(self) -> int:
        return self.orders.asked

    async def close(self) -> None:
        pass


def broken() -> StoreUnavailable:
    return StoreUnavailable("the disk was full", retry_after_s=9)


def store_of(recovery_s: int = 60) -> Store:
    breaker = Breaker("test_store", failure_threshold=THRESHOLD, recovery_timeout_s=recovery_s)
    return guarded(Store(), breaker)


async def fails(call: Awaitable[Any]) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        await call
    return caught.value


async def break_open(store: Store) -> None:
    store.orders.outcome = broken()
    for _ in range(THRESHOLD):
        await fails(store.write(1))


def is_open() -> float:
    value: float = STATE.labels("test_store")._value.get()
    return value


def test_calls_pass_with_their_arguments_and_results() -> None:
    async def scenario() -> None:
        store = store_of()
        assert await store.write(2, factor=3) == 6
        assert store.name == "sqlite"
        assert isinstance(store, Store)
        assert is_open() == 0

    asyncio.run(scenario())


def test_failures_in_a_row_open_the_circuit() -> None:
    async def scenario() -> None:
        store = store_of(recovery_s=60)
        store.orders.outcome = broken()
        for _ in range(THRESHOLD):
            assert str(await fails(store.write(1))) == "the disk was full"
        refusal = await fails(store.write(1))
        assert store.orders.asked == THRESHOLD
        assert "the disk was full" in str(refusal)
        assert 1 <= refusal.retry_after_s <= 60
        assert is_open() == 1

    asyncio.run(scenario())


def test_a_success_between_failures_keeps_it_closed() -> None:
    async def scenario() -> None:
        store = store_of()
        for _ in range(3):
            store.orders.outcome = broken()
            for _ in range(THRESHOLD - 1):
                await fails(store.write(1))
            store.orders.outcome = None
            assert await store.write(1) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("outcome", [InvalidRequest("limit", "1 to 1000", 0), ZeroDivisionError(), KeyError("x")])
def test_other_errors_do_not_count(outcome: Exception) -> None:
    async def scenario() -> None:
        store = store_of()
        store.orders.outcome = outcome
        for _ in range(THRESHOLD + 1):
            with pytest.raises(type(outcome)):
                await store.write(1)
        store.orders.outcome = None
        assert await store.write(1) == 1

    asyncio.run(scenario())


def test_a_cancelled_call_is_neither_failure_nor_success() -> None:
    async def scenario() -> None:
        store = store_of()
        store.orders.outcome = broken()
        for _ in range(THRESHOLD - 1):
            await fails(store.write(1))
        task = asyncio.ensure_future(store.write(1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await fails(store.write(1))
        refusal = await fails(store.write(1))
        assert "left alone" in str(refusal)

    asyncio.run(scenario())


def test_a_ping_that_succeeds_closes_the_circuit() -> None:
    async def scenario() -> None:
        store = store_of()
        await break_open(store)
        await fails(store.ping())
        assert "left alone" in str(await fails(store.write(1)))
        store.orders.outcome = None
        await store.ping(write=True)
        assert is_open() == 0
        assert await store.write(5) == 5

    asyncio.run(scenario())


def test_after_the_recovery_time_the_next_call_decides() -> None:
    async def scenario() -> None:
        store = store_of(recovery_s=1)
        await break_open(store)
        assert "left alone" in str(await fails(store.write(1)))
        await asyncio.sleep(1.05)
        assert str(await fails(store.write(1))) == "the disk was full"
        assert "left alone" in str(await fails(store.write(1)))
        await asyncio.sleep(1.05)
        store.orders.outcome = None
        assert await store.write(1) == 1
        assert is_open() == 0

    asyncio.run(scenario())


def test_what_never_waits_and_closing_pass_an_open_circuit() -> None:
    async def scenario() -> None:
        store = store_of()
        await break_open(store)
        assert await store.revision() == THRESHOLD
        await store.close()

    asyncio.run(scenario())
