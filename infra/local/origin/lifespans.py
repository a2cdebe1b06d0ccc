"""Runs the start and stop hooks of ASGI applications that share one process, by the ASGI lifespan protocol."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message

from common.errors import PetrosaError


class FunctionStartFailed(PetrosaError):
    """The start hook of a function failed; the process ends and is started again."""


@asynccontextmanager
async def running(apps: Mapping[str, ASGIApp]) -> AsyncIterator[None]:
    """Run the start hooks of all applications side by side, and their stop hooks when the block is left.

    Raises:
        FunctionStartFailed: naming each function whose start failed, after the started ones were stopped again.
    """
    lifespans = {name: _Lifespan(app) for name, app in apps.items()}
    answers = await asyncio.gather(*(lifespan.start() for lifespan in lifespans.values()))
    failures = [f"{name}: {answer}" for name, answer in zip(lifespans, answers, strict=True) if answer is not None]
    try:
        if failures:
            raise FunctionStartFailed("did not start: " + "; ".join(failures))
        yield
    finally:
        await asyncio.gather(*(lifespan.stop() for lifespan in lifespans.values()))


class _Lifespan:
    """One application's lifespan: a task that stays inside the application between start and stop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._started = False

    async def start(self) -> str | None:
        """Return nothing when the application has started, else what it said."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        self._task = asyncio.ensure_future(self._app(scope, self._to_app.get, self._from_app.put))
        answer = await self._exchange("lifespan.startup")
        self._started = answer is not None and answer["type"] == "lifespan.startup.complete"
        if self._started:
            return None
        (error,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(error, BaseException):
            return f"{type(error).__name__}: {error}"
        return str(answer["message"]) if answer and answer.get("message") else "its start hook ended early"

    async def stop(self) -> None:
        """Let a started application run its stop hook."""
        if self._started and self._task is not None:
            await self._exchange("lifespan.shutdown")
            await asyncio.gather(self._task, return_exceptions=True)

    async def _exchange(self, message_type: str) -> Message | None:
        """Send a message and return the answer; nothing when the application ended without one."""
        assert self._task is not None  # noqa: S101 - set by start()
        await self._to_app.put({"type": message_type})
        answer = asyncio.ensure_future(self._from_app.get())
        await asyncio.wait((answer, self._task), return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return None
