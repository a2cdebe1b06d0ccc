"""An ASGI application driven in process: its lifespan and its requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """Start the application, give a client, stop it."""
    lifespan = _Lifespan(app)
    await lifespan.start()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://function") as client:
        try:
            yield client
        finally:
            await lifespan.stop()


class LifespanFailedError(Exception):
    """The application refused to start."""


class _Lifespan:
    def __init__(self, app: ASGIApp) -> None:
        import asyncio

        self._app = app
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        import asyncio

        self._task = asyncio.create_task(
            self._app({"type": "lifespan", "asgi": {"version": "3.0"}}, self._to_app.get, self._from_app.put)  # type: ignore[arg-type]
        )
        await self._send("lifespan.startup")

    async def stop(self) -> None:
        await self._send("lifespan.shutdown")
        assert self._task is not None
        await self._task

    async def _send(self, kind: str) -> None:
        await self._to_app.put({"type": kind})
        answer = await self._from_app.get()
        if answer["type"].endswith("failed"):
            raise LifespanFailedError(answer.get("message"))
