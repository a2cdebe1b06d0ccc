"""The way for the reads that are asked for most: past FastAPI's machinery, which costs more than the answer.

Each read has one query model and one source of its answer, and two routes that share them: the documented one in
FastAPI, and a hot one in front of it. A request that is wrong takes the documented way, so that there is one place
where parameters are explained.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Annotated, Any, Final, Generic, TypeVar

import fastapi
from fastapi import FastAPI
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.errors import PetrosaError
from common.host.errors import request_answer
from common.host.parameters import Query

QueryT = TypeVar("QueryT", bound=Query)
Answer = Callable[[QueryT], Awaitable[bytes]]

# Query strings that were read before are not read again; long ones are nobody's habit and would only fill memory.
_REMEMBERED_QUERIES: Final = 1024
_REMEMBERED_BYTES: Final = 256
_ANY_ORIGIN: Final = (b"access-control-allow-origin", b"*")


class HotRoute(Generic[QueryT]):
    """Answers ``GET`` on one path with JSON text.

    Args:
        path: the path, for the metrics of the group.
        query_model: reads the query string.
        answer: gives the text.
    """

    def __init__(self, path: str, query_model: type[QueryT], answer: Answer[QueryT]) -> None:
        self.path = path
        self._query_model = query_model
        self._answer = answer
        self._remembered: Callable[[bytes], QueryT | None] = lru_cache(_REMEMBERED_QUERIES)(self._read)

    def query(self, text: bytes) -> QueryT | None:
        """Return the query that a query string makes; nothing when it is wrong."""
        return self._remembered(text) if len(text) <= _REMEMBERED_BYTES else self._read(text)

    async def answer(self, query: QueryT, send: Send) -> None:
        """Send the answer to a query."""
        body = await self._answer(query)
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
            _ANY_ORIGIN,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _read(self, text: bytes) -> QueryT | None:
        try:
            return self._query_model.model_validate(dict(QueryParams(text)))
        except ValidationError:
            return None


class HotReads:
    """An application with hot routes in front of it."""

    def __init__(self, api: FastAPI) -> None:
        self.api = api
        self._routes: dict[str, HotRoute[Any]] = {}

    def add(
        self,
        path: str,
        *,
        query_model: type[QueryT],
        answer: Answer[QueryT],
        answer_model: type[BaseModel],
        summary: str,
        responses: dict[int | str, dict[str, Any]] | None = None,
    ) -> None:
        """Add a read, with its hot and its documented route.

        Args:
            path: where.
            query_model: the parameters.
            answer: gives the JSON text of the answer.
            answer_model: what that text holds, for the OpenAPI document.
            summary: what is read, for the OpenAPI document.
            responses: answers besides the model, for the OpenAPI document.
        """

        async def documented(query: QueryT) -> Response:
            return Response(await answer(query), media_type="application/json")

        documented.__annotations__["query"] = Annotated[query_model, fastapi.Query()]
        self.api.add_api_route(path, documented, response_model=answer_model, summary=summary, responses=responses)
        self._routes[path] = HotRoute(path, query_model, answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        query = None if route is None else route.query(scope["query_string"])
        if route is None or query is None:
            await self.api(scope, receive, send)
        else:
            scope["route"] = route
            try:
                await route.answer(query, send)
            except PetrosaError as error:
                response = request_answer(error)
                response.headers[_ANY_ORIGIN[0].decode()] = _ANY_ORIGIN[1].decode()
                await response(scope, receive, send)
