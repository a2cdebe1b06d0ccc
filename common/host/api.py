"""How a route group declares its routes, and the application that answers them.

A ``Route`` says once what is asked, who answers, and what the OpenAPI document tells of it. A route without path
parameters is found in a table; a router finds the others, and answers what is no route.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final, Generic, Literal, TypeVar, get_origin
from urllib.parse import quote

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette import routing
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from common.errors import NotFound, PetrosaError
from common.host.errors import ANY_ORIGIN, not_allowed, request_answer
from common.host.parameters import Query

QueryT = TypeVar("QueryT", bound=Query)
# JSON text, what JSON text is made of, or (for another status, header or type) a whole response.
Body = bytes | Mapping[str, Any] | BaseModel | Response

BODY: Final = "body"
# Query strings that were read before are not read again; long ones are nobody's habit and would only fill memory.
_REMEMBERED_QUERIES: Final = 1024
_REMEMBERED_BYTES: Final = 256
_ENDS_IN_SLASH: Final = re.compile(r"[^/]/\Z")
_HEADERS: Final = tuple(
    (name.encode(), value.encode()) for name, value in ({"content-type": "application/json"} | ANY_ORIGIN).items()
)


class JsonResponse(JSONResponse):
    """JSON as the groups write it."""

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return encoded(content)


def encoded(body: Mapping[str, Any] | BaseModel) -> bytes:
    """Return a body as JSON text."""
    return body.model_dump_json().encode() if isinstance(body, BaseModel) else msgspec.json.encode(body)


@dataclass(frozen=True)
class Route(Generic[QueryT]):
    """One route.

    Attributes:
        path: where; ``{name}`` stands for a path parameter.
        answer: answers a request that is as ``query`` says; raises errors of the tree in ``common.errors``.
        query: what is asked. Its fields are the parameters: those that ``path`` names are path parameters, ``body``
            is the JSON body, all others stand in the query string.
        model: what the answer holds, for the OpenAPI document; or a function that makes it when that is written.
        summary: what the route does, in a few words.
        method: HTTP method.
        responses: further statuses that this route answers, each with what it means, or with that and a model.
        headers: headers of the answer, each with what it says.
    """

    path: str
    answer: Callable[[QueryT], Awaitable[Body]]
    query: type[QueryT] = field(kw_only=True)
    model: Any = field(kw_only=True)
    summary: str = field(kw_only=True)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = field(default="GET", kw_only=True)
    responses: Mapping[int, str | tuple[str, type[BaseModel]]] = field(default_factory=dict, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def has_body(self) -> bool:
        """Whether a request has a body."""
        return BODY in self.query.model_fields

    def place_of(self, name: str) -> str:
        """Return where a request carries a field of the query: ``path``, ``query`` or ``body``."""
        return BODY if name == BODY else "path" if name in re.findall(r"{(\w+)", self.path) else "query"


class Api:
    """The application of a route group.

    Args:
        description: what the group serves, for the OpenAPI document.
        routes: its routes.
    """

    def __init__(self, description: str, routes: Sequence[Route[Any]]) -> None:
        self._description = description
        self._routes = routes
        endpoints = [_Endpoint(route) for route in routes]
        self._direct = {(one.route.method, one.path): one for one in endpoints if "{" not in one.path}
        self._routed = Starlette(
            routes=[
                *(routing.Route(one.path, one, methods=[one.route.method]) for one in endpoints),
                routing.Route("/openapi.json", self._openapi),
            ],
            middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])],
            exception_handlers={404: _not_found, 405: _not_allowed, Exception: _bug},
        )
        self._routed.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        endpoint = self._direct.get((scope["method"], scope["path"]))
        if endpoint is not None:
            await endpoint(scope, receive, send)
        elif _ENDS_IN_SLASH.search(scope["path"]):
            await _without_slash(scope)(scope, receive, send)
        else:
            await self._routed(scope, receive, send)

    def _openapi(self, _request: Request) -> Response:
        return Response(self._document, media_type="application/json")

    @cached_property
    def _document(self) -> bytes:
        from common.host.openapi import document

        return encoded(document(self._description, self._routes))


class _Endpoint(Generic[QueryT]):
    """One route as an ASGI application: reads the request, has it answered, sends the answer."""

    def __init__(self, route: Route[QueryT]) -> None:
        self.route = route
        self.path = route.path  # the label of its metrics
        self._is_query_alone = "{" not in route.path and not route.has_body
        fields = route.query.model_fields
        self._lists = frozenset(name for name, info in fields.items() if get_origin(info.annotation) in {list, tuple})
        self._remembered = lru_cache(_REMEMBERED_QUERIES)(self._read)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["route"] = self
        body = await self._answer(scope, receive)
        if isinstance(body, Response):
            body.headers.update(ANY_ORIGIN)
            await body(scope, receive, send)
            return
        text = body if isinstance(body, bytes) else encoded(body)
        headers = [(b"content-length", b"%d" % len(text)), *_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    async def _answer(self, scope: Scope, receive: Receive) -> Body:
        try:
            body = await Request(scope, receive).body() if self.route.has_body else b""
            query = self._query(scope, body)
            return query if isinstance(query, Response) else await self.route.answer(query)
        except PetrosaError as error:
            return request_answer(error)

    def _query(self, scope: Scope, body: bytes) -> QueryT | Response:
        """Return what is asked, or the answer to a request that is wrong."""
        text: bytes = scope["query_string"]
        try:
            if not self._is_query_alone:
                given = {BODY: msgspec.json.decode(body)} if body else {}
                return self._read(text, **scope.get("path_params", {}), **given)
            return self._remembered(text) if len(text) <= _REMEMBERED_BYTES else self._read(text)
        except ValidationError as error:
            wrong = [self._at_fault(item) for item in error.errors()]
        except msgspec.DecodeError as error:
            wrong = [{"type": "json_invalid", "loc": (BODY,), "msg": f"expected JSON: {error}", "input": None}]
        return JsonResponse({"detail": wrong}, status_code=422)

    def _read(self, text: bytes, **beside: Any) -> QueryT:
        given = QueryParams(text)
        parameters: dict[str, Any] = dict(given)
        parameters.update((name, given.getlist(name)) for name in self._lists if name in given)
        if self.route.has_body:
            parameters.pop(BODY, None)
        return self.route.query.model_validate({**parameters, **beside})

    def _at_fault(self, item: ErrorDetails) -> dict[str, object]:
        place = self.route.place_of(str(item["loc"][0])) if item["loc"] else "query"
        where = item["loc"] if place == BODY else (place, *item["loc"])
        plain = item["input"] if isinstance(item["input"], (str, int, float, bool)) else None
        return {"type": item["type"], "loc": where, "msg": item["msg"], "input": plain}


async def _not_found(_request: Request, _error: Exception) -> Response:
    return request_answer(NotFound("Not Found"))


async def _not_allowed(request: Request, _error: Exception) -> Response:
    """Name the methods of all routes that have this path."""
    there = [each for each in request.app.routes if each.matches(request.scope)[0] is not Match.NONE]
    return not_allowed(*sorted({method for route in there for method in route.methods}))


async def _bug(_request: Request, _error: Exception) -> Response:
    return request_answer(None)  # raised on by Starlette, and logged by the route group's delegate


def _without_slash(scope: Scope) -> Response:
    """Send the client to the same path without its last slash; relative, so that no Host header is trusted."""
    segment = quote(scope["path"].rstrip("/").rpartition("/")[2], safe="")
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse(f"../{segment}?{query}" if query else f"../{segment}")
