"""How a route group declares its routes, and the application that answers them.

A ``Route`` says once what is asked, who answers, and what the OpenAPI document tells about it. A route without path
parameters is answered past FastAPI's machinery, which costs more than most answers; the others are found by FastAPI's
router. Both ways end in the same code. FastAPI writes the document and answers what is no declared route.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_origin
from urllib.parse import quote

import fastapi
import msgspec
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from common import product
from common.errors import PetrosaError
from common.host.answers import Failure, Refusal
from common.host.errors import ANY_ORIGIN, not_allowed, request_answer
from common.host.parameters import Query

QueryT = TypeVar("QueryT", bound=Query)
# JSON text, what JSON text is made of, or (for another status, header or type) a whole response.
Body = bytes | Mapping[str, Any] | BaseModel | Response

_BODY: Final = "body"
# Query strings that were read before are not read again; long ones are nobody's habit and would only fill memory.
_REMEMBERED_QUERIES: Final = 1024
_REMEMBERED_BYTES: Final = 256
_UNAVAILABLE: Final = "A store could not be asked: come back after `Retry-After` seconds."
_ENDS_IN_SLASH: Final = re.compile(r"[^/]/\Z")
_HEADERS: Final = tuple(
    (name.encode(), value.encode()) for name, value in ({"content-type": "application/json"} | ANY_ORIGIN).items()
)


class JsonResponse(JSONResponse):
    """JSON encoded by msgspec. FastAPI documents the models of what it knows to be JSON."""

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return encoded(content)


@dataclass(frozen=True, slots=True)
class Route(Generic[QueryT]):
    """One route.

    Attributes:
        path: where; ``{name}`` stands for a path parameter.
        answer: answers a request that is as ``query`` says; raises errors of the tree in ``common.errors``.
        query: what is asked. Its fields are the parameters: those that ``path`` names are path parameters, ``body``
            is the JSON body, all others stand in the query string.
        model: what the answer holds, for the OpenAPI document.
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


class Api:
    """The application of a route group.

    Args:
        description: what the group serves, for the OpenAPI document.
        routes: its routes.
    """

    def __init__(self, description: str, routes: Iterable[Route[Any]]) -> None:
        self._documented = _documented(description)
        self._direct: dict[tuple[str, str], _Endpoint[Any]] = {}
        for route in routes:
            endpoint = _Endpoint(route)
            self._documented.router.routes.append(_DocumentedRoute(endpoint))
            if not endpoint.in_path:
                self._direct[route.method, route.path] = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        endpoint = self._direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is not None:
            scope["route"] = endpoint
            await endpoint(scope, receive, send)
        elif scope["type"] == "http" and _ENDS_IN_SLASH.search(scope["path"]):
            await _without_slash(scope)(scope, receive, send)
        else:
            await self._documented(scope, receive, send)


class _Endpoint(Generic[QueryT]):
    """One route as an ASGI application: reads the request, has it answered, sends the answer."""

    def __init__(self, route: Route[QueryT]) -> None:
        self.route = route
        self.path = route.path  # the label of its metrics
        self.in_path = frozenset(re.findall(r"{(\w+)", route.path))
        fields = route.query.model_fields
        # FastAPI documents the parameters and the docstring of a function: these, if it were one.
        self.__signature__ = inspect.Signature([self._documented(name, info) for name, info in fields.items()])
        self.__doc__ = inspect.getdoc(route.query) if fields else ""
        self._has_body = _BODY in fields
        self._lists = frozenset(name for name, info in fields.items() if get_origin(info.annotation) in {list, tuple})
        self._remembered = lru_cache(_REMEMBERED_QUERIES)(self._read)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
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
            body = await Request(scope, receive).body() if self._has_body else b""
            query = self._query(scope, body)
            return query if isinstance(query, Response) else await self.route.answer(query)
        except PetrosaError as error:
            return request_answer(error)

    def _query(self, scope: Scope, body: bytes) -> QueryT | Response:
        """Return what is asked, or the answer to a request that is wrong."""
        text: bytes = scope["query_string"]
        try:
            if self.in_path or body:
                given = {_BODY: msgspec.json.decode(body)} if body else {}
                return self._read(text, **scope.get("path_params", {}), **given)
            return self._remembered(text) if len(text) <= _REMEMBERED_BYTES else self._read(text)
        except ValidationError as error:
            wrong = [self._at_fault(item) for item in error.errors()]
        except msgspec.DecodeError as error:
            wrong = [{"type": "json_invalid", "loc": (_BODY,), "msg": f"expected JSON: {error}", "input": None}]
        return JsonResponse({"detail": wrong}, status_code=422)

    def _read(self, text: bytes, **beside: Any) -> QueryT:
        given = QueryParams(text)
        parameters: dict[str, Any] = dict(given)
        parameters.update((name, given.getlist(name)) for name in self._lists if name in given)
        if self._has_body:
            parameters.pop(_BODY, None)
        return self.route.query.model_validate({**parameters, **beside})

    def _at_fault(self, item: ErrorDetails) -> dict[str, object]:
        place = self._place(str(item["loc"][0])) if item["loc"] else "query"
        where = item["loc"] if place == _BODY else (place, *item["loc"])
        plain = item["input"] if isinstance(item["input"], (str, int, float, bool)) else None
        return {"type": item["type"], "loc": where, "msg": item["msg"], "input": plain}

    def _place(self, name: str) -> str:
        return _BODY if name == _BODY else "path" if name in self.in_path else "query"

    def _documented(self, name: str, info: FieldInfo) -> inspect.Parameter:
        in_place = {"path": fastapi.Path, "query": fastapi.Query, _BODY: fastapi.Body}[self._place(name)]
        said = in_place(description=info.description, examples=info.examples, json_schema_extra=info.json_schema_extra)
        default = inspect.Parameter.empty if info.is_required() else info.get_default()
        annotation: Any = Annotated[info.rebuild_annotation(), said]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


class _DocumentedRoute(APIRoute):
    """A declared route in FastAPI's router and document."""

    def __init__(self, endpoint: _Endpoint[Any]) -> None:
        route = endpoint.route
        super().__init__(
            route.path,
            endpoint,
            name=route.path,
            methods=[route.method],
            response_model=route.model,
            response_class=JsonResponse,
            summary=route.summary,
            responses=_responses(route),
            operation_id=re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").rstrip("_"),
        )
        self.app = endpoint


def _responses(route: Route[Any]) -> dict[int | str, dict[str, Any]]:
    """Return the statuses of a route as FastAPI documents them."""
    said: dict[int, str | tuple[str, type[BaseModel]]] = {503: _UNAVAILABLE}
    if route.query.model_fields:
        said[422] = ("A parameter or a field of the body is wrong: all that are, by name.", Refusal)
    if _BODY in route.query.model_fields:
        said[413] = "The body is too large."
    statuses: dict[int | str, dict[str, Any]] = {}
    for status, meaning in sorted({**said, **route.responses}.items()):
        description, model = meaning if isinstance(meaning, tuple) else (meaning, Failure)
        statuses[status] = {"description": description, "model": model}
    if route.headers:
        schema = {"schema": {"type": "string"}}
        statuses[200] = {"headers": {name: {"description": says, **schema} for name, says in route.headers.items()}}
    return statuses


def _documented(description: str) -> FastAPI:
    api = FastAPI(
        title=product.TITLE,
        description=description,
        version=product.VERSION,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    api.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    api.add_exception_handler(405, _not_allowed)
    api.add_exception_handler(Exception, _bug)
    return api


async def _not_allowed(request: Request, _error: Exception) -> Response:
    """Name the methods of all routes that have this path; every GET route answers HEAD too."""
    there = [each for each in request.app.routes if each.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in there for method in route.methods}
    return not_allowed(*sorted(methods | {"HEAD"} if "GET" in methods else methods))


async def _bug(_request: Request, _error: Exception) -> Response:
    return request_answer(None)  # raised on by Starlette, and logged by the route group's delegate


def _without_slash(scope: Scope) -> Response:
    """Send the client to the same path without its last slash; relative, so that no Host header is trusted."""
    segment = quote(scope["path"].rstrip("/").rpartition("/")[2], safe="")
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse(f"../{segment}?{query}" if query else f"../{segment}")


def encoded(body: Mapping[str, Any] | BaseModel) -> bytes:
    """Return a body as JSON text."""
    return body.model_dump_json().encode() if isinstance(body, BaseModel) else msgspec.json.encode(body)
