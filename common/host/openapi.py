"""The OpenAPI document of declared routes, written by FastAPI.

Nothing but the document needs that library, and loading it takes as long as all the rest of a route group: it loads
when the document is first asked for.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

import fastapi
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.fields import FieldInfo

from common import product
from common.host.answers import Failure, Refusal
from common.host.api import BODY, JsonResponse, Route

_UNAVAILABLE: Final = "A store could not be asked: come back after `Retry-After` seconds."
_PLACES: Final[dict[str, Callable[..., Any]]] = {"path": fastapi.Path, "query": fastapi.Query, BODY: fastapi.Body}


def document(description: str, routes: Iterable[Route[Any]]) -> dict[str, Any]:
    """Return the document of a route group.

    Args:
        description: what the group serves.
        routes: its routes.
    """
    documented = [_documented(route) for route in routes]
    return get_openapi(title=product.TITLE, version=product.VERSION, description=description, routes=documented)


def _documented(route: Route[Any]) -> APIRoute:
    return APIRoute(
        route.path,
        _function(route),
        methods=[route.method],
        response_model=route.model() if inspect.isfunction(route.model) else route.model,
        response_class=JsonResponse,
        summary=route.summary,
        responses=_responses(route),
        operation_id=re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").rstrip("_"),
    )


def _function(route: Route[Any]) -> Callable[[], None]:
    """Return what FastAPI describes: a function that would take the parameters one by one."""

    def described() -> None: ...

    fields = route.query.model_fields
    described.__doc__ = inspect.getdoc(route.query) if fields else None
    parameters = [_parameter(route, name, info) for name, info in fields.items()]
    described.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # functions may have one
    return described


def _parameter(route: Route[Any], name: str, info: FieldInfo) -> inspect.Parameter:
    said = _PLACES[route.place_of(name)](
        description=info.description, examples=info.examples, json_schema_extra=info.json_schema_extra
    )
    default = inspect.Parameter.empty if info.is_required() else info.get_default()
    annotation: Any = Annotated[info.rebuild_annotation(), said]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _responses(route: Route[Any]) -> dict[int | str, dict[str, Any]]:
    said: dict[int, Any] = {503: _UNAVAILABLE}
    if route.query.model_fields:
        said[422] = ("A parameter or a field of the body is wrong: all that are, by name.", Refusal)
    if route.has_body:
        said[413] = "The body is too large."
    statuses: dict[int | str, dict[str, Any]] = {}
    for status, meaning in sorted({**said, **route.responses}.items()):
        description, model = meaning if isinstance(meaning, tuple) else (meaning, Failure)
        statuses[status] = {"description": description, "model": model}
    if route.headers:
        schema = {"schema": {"type": "string"}}
        statuses[200] = {"headers": {name: {"description": says, **schema} for name, says in route.headers.items()}}
    return statuses
