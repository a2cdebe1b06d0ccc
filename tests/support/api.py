"""Asking an application of a route group in process, and what its OpenAPI document says about an answer."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send


def opened_for_each(opener: Callable[[], AbstractAsyncContextManager[ASGIApp]]) -> ASGIApp:
    """Return an application that is opened for every request: a test asks it from event loops of their own."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with opener() as inner:
            await inner(scope, receive, send)

    return app


def get(app: ASGIApp, *urls: str, headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """Return the answers to GET requests, one after the other."""
    return asyncio.run(requests(app, *urls, headers=headers))


async def requests(app: ASGIApp, *urls: str, headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """Return the answers to GET requests, one after the other."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://group", headers=headers) as client:
        return [await client.get(url) for url in urls]


def json_of(app: ASGIApp, url: str) -> Any:
    """Return the body of a successful answer."""
    (answer,) = get(app, url)
    assert answer.status_code == 200, answer.text
    return answer.json()


def fields_at_fault(answer: httpx.Response) -> list[str]:
    """Return the fields that a 422 answer names."""
    assert answer.status_code == 422, answer.text
    assert all(item["loc"][0] == "query" and item["msg"] for item in answer.json()["detail"])
    return [item["loc"][1] for item in answer.json()["detail"]]
