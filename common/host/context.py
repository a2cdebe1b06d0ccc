"""What a function gets when it starts, and the life of what it opens with it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from common.clock import Clock, clock_from
from common.errors import TemporaryError
from common.events.sink import Sink, sink_of
from common.settings import Settings, load_settings

log = logging.getLogger(__name__)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of one function.

    Attributes:
        name: the function's name, as its folder and its target.
        settings: the process's configuration.
        clock: the process's clock.
        sink: where events are emitted to (``K_SINK``).
        checks: by name, what raises ``TemporaryError`` when an event would fail now. Openers add to it.
    """

    name: str
    settings: Settings
    clock: Clock
    sink: Sink
    checks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)


Opener = Callable[[Context], AbstractAsyncContextManager[R]]


class Lifetime(Generic[R]):
    """The resources of one function: opened at the process's start, closed at its stop.

    A store that is away when the process starts does not end it: opening is tried again whenever the resources are
    asked for, and the function is not ready meanwhile. Under a bare functions-framework, which has no start hook, the
    first request opens them.
    """

    def __init__(self, name: str, opener: Opener[R]) -> None:
        self.name = name
        self._opener = opener
        self._context: Context | None = None
        self._manager: AbstractAsyncContextManager[R] | None = None
        self._resources: R | None = None
        self._opening = asyncio.Lock()

    async def start(self, settings: Settings) -> None:
        """Open the resources, or leave that to the first use when a store is away.

        Raises:
            ConfigurationError: a setting is wrong; the process must not start.
        """
        self._context = context_of(self.name, settings)
        try:
            await self.resources()
        except TemporaryError as error:
            log.warning("starting without a store, will try again", extra={"function": self.name, "error": str(error)})

    async def resources(self) -> R:
        """Return the open resources, opening them when they are not."""
        if self._resources is None:
            async with self._opening:
                if self._resources is None:
                    self._resources = await self._open()
        return self._resources

    @property
    def context(self) -> Context:
        """The surroundings, of the environment where nobody gave others."""
        if self._context is None:
            self._context = context_of(self.name, load_settings())
        return self._context

    async def _open(self) -> R:
        manager = self._opener(self.context)
        resources = await manager.__aenter__()
        self._manager = manager
        return resources

    async def check(self) -> None:
        """Raise ``TemporaryError`` when the resources are away."""
        await self.resources()
        for check in self.context.checks.values():
            await check()

    async def stop(self) -> None:
        """Close what is open."""
        manager, self._manager, self._resources = self._manager, None, None
        if manager is not None:
            await manager.__aexit__(None, None, None)
        if self._context is not None:
            await self._context.sink.close()


def context_of(name: str, settings: Settings) -> Context:
    """Build the surroundings of a function from the settings.

    Raises:
        ConfigurationError: naming the setting that is wrong.
    """
    return Context(name, settings, clock_from(settings.petrosa_clock), sink_of(settings))
