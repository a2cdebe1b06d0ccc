"""FastAPI as the route groups use it: our errors, our JSON, open to any origin."""

from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response

from common import product
from common.errors import PetrosaError
from common.host.errors import ErrorAnswer, request_answer


class JsonResponse(JSONResponse):
    """JSON encoded by msgspec. FastAPI documents the models of what it knows to be JSON."""

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return msgspec.json.encode(content)


def new_api(title: str, description: str = "") -> FastAPI:
    """Return an empty application with the error mapping of the API (spec/data-api.md §0.1)."""
    api = FastAPI(
        title=title,
        description=description,
        version=product.VERSION,
        default_response_class=JsonResponse,
        responses={503: {"description": "A store could not be asked: come back after `Retry-After` seconds."}},
        redirect_slashes=True,
        docs_url=None,
        redoc_url=None,
    )
    api.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    api.add_exception_handler(PetrosaError, _petrosa_error)
    api.add_exception_handler(RequestValidationError, _invalid_request)
    api.add_exception_handler(Exception, _bug)
    return api


async def _petrosa_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, PetrosaError)  # noqa: S101 - it is registered for this class
    return request_answer(error)


async def _invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for this class
    items = [
        {"type": item["type"], "loc": list(item["loc"]), "msg": item["msg"], "input": _plain(item.get("input"))}
        for item in error.errors()
    ]
    return ErrorAnswer({"detail": items}, status_code=422)


async def _bug(_request: Request, _error: Exception) -> Response:
    return request_answer(None)  # raised on by Starlette, and logged by the route group's delegate


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool, type(None))) else None
