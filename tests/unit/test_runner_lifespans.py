"""Start and stop hooks of applications in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from infra.local.origin.lifespans import FunctionStartFailed, running


def recorded(name: str, events: list[str], *, fails: bool = False) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if fails:
            raise RuntimeError("no database")
        events.append(f"{name} starts")
        yield
        events.append(f"{name} stops")

    return Starlette(lifespan=lifespan)


def test_all_hooks_run_around_the_block() -> None:
    events: list[str] = []

    async def body() -> None:
        async with running({"a": recorded("a", events), "b": recorded("b", events)}):
            assert sorted(events) == ["a starts", "b starts"]

    asyncio.run(body())
    assert sorted(events[2:]) == ["a stops", "b stops"]


def test_one_failure_is_named_and_the_others_are_stopped_again() -> None:
    events: list[str] = []

    async def body() -> None:
        async with running({"good": recorded("good", events), "bad": recorded("bad", events, fails=True)}):
            events.append("served")

    with pytest.raises(FunctionStartFailed, match=r"bad: .*no database") as raised:
        asyncio.run(body())
    assert "good:" not in str(raised.value)
    assert events == ["good starts", "good stops"]


def test_an_application_that_ends_without_an_answer_has_failed() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async def raising(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    async def body() -> None:
        async with running({"silent": silent, "raising": raising}):
            pass

    with pytest.raises(FunctionStartFailed, match=r"silent: .*early.*raising: ValueError: broken"):
        asyncio.run(body())
