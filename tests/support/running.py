"""Asynchronous objects in plain tests: one event loop for the whole of a test."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol, TypeVar

import pytest

T = TypeVar("T")


class Run(Protocol):
    """Runs a coroutine to its end and returns its result; all calls of one test share one event loop."""

    def __call__(self, coroutine: Coroutine[Any, Any, T], /) -> T: ...


class InOneLoop:
    """Base of test classes whose objects belong to an event loop."""

    @pytest.fixture
    def run(self) -> Iterator[Run]:
        """The way into the event loop of this test."""
        with asyncio.Runner() as runner:
            yield runner.run
