"""Waiting for something outside this process, which no event of the loop tells about."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]], *, every_s: float) -> None:
    """Ask ``condition`` again and again until it holds; the caller sets the bound."""
    while not await condition():  # noqa: ASYNC110 - the condition lies outside this process
        await asyncio.sleep(every_s)
