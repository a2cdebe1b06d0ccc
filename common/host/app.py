"""One function as an ASGI application: the framework's, with what the platform asks of a process around it.

``/healthz`` (alive), ``/readyz`` (would serve now) and ``/metrics`` are answered before the function sees a request;
the body is limited; the lifespan opens and closes the function's resources.
"""

import asyncio
import logging
from pathlib import Path
from typing import Final

import functions_framework.aio
from functions_framework.exceptions import InvalidTargetTypeException, MissingTargetException
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import ConfigurationError, PayloadTooLarge, TemporaryError
from common.host import framework
from common.host.errors import ErrorAnswer, event_answer, headers_of, request_answer
from common.host.registry import Target, target_of
from common.settings import Settings

log = logging.getLogger(__name__)

_READY_TIMEOUT_S: Final = 5.0
_PROCESS_ROUTES: Final = frozenset({"/healthz", "/readyz", "/metrics", "/metrics/"})


def create_app(target: str, source: str, settings: Settings) -> "FunctionApp":
    """Return the application of one function.

    Args:
        target: the function's name (``FUNCTION_TARGET``).
        source: path of its ``main.py`` (``FUNCTION_SOURCE``).
        settings: the process's configuration.

    Raises:
        ConfigurationError: there is no such source, or it does not make a target of this name.
    """
    if not target:
        raise ConfigurationError("FUNCTION_TARGET: expected the name of a function, was not set")
    if not (source.endswith(".py") and Path(source).is_file()):
        raise ConfigurationError(f"FUNCTION_SOURCE: expected the Python file that defines {target!r}, was {source!r}")
    try:
        app = functions_framework.aio.create_asgi_app(target, source)  # type: ignore[no-untyped-call]
    except (MissingTargetException, InvalidTargetTypeException) as error:
        message = f"FUNCTION_TARGET: expected a function that {source} defines, was {target!r}"
        raise ConfigurationError(message) from error
    made = target_of(target)
    return FunctionApp(made, app.router if made.kind == "route-group" else app, settings)


class FunctionApp:
    """The application: process routes, body limit, lifespan; everything else is the function's.

    Args:
        target: the function.
        function: the framework's application of an event function; of a route group its router, because the delegate
            answers every failure itself, and what the framework puts around the router is for failures.
        settings: the process's configuration.
    """

    def __init__(self, target: Target, function: ASGIApp, settings: Settings) -> None:
        self._target = target
        self._is_group = target.kind == "route-group"
        self._function = function
        self._settings = settings

    async def start(self) -> None:
        """Run the function's start hook.

        Raises:
            ConfigurationError: a setting is wrong.
        """
        await self._target.lifetime.start(self._settings)

    async def stop(self) -> None:
        """Run the function's stop hook."""
        await self._target.lifetime.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ConfigurationError("only HTTP is served")
        if scope["path"] in _PROCESS_ROUTES:
            response = await self._process_answer(scope["path"])
            await response(scope, receive, send)
            return
        limited = _LimitedBody(receive, self._settings.max_body_bytes)
        if limited.is_exceeded_by(scope):
            answer = request_answer if self._is_group else event_answer
            await answer(limited.error())(scope, receive, send)
        elif self._is_group:
            await self._function(framework.enclosed(scope, limited, send), limited, send)
        else:
            await self._function(framework.shown(scope), limited, send)

    async def _process_answer(self, path: str) -> Response:
        if path == "/healthz":
            return ErrorAnswer({"status": "ok", "function": self._target.name})
        if path == "/readyz":
            return await self._readiness()
        return metrics_answer()

    async def _readiness(self) -> Response:
        """Ask what an event would need. A route group stays reachable without its stores, to say what is wrong."""
        lifetime = self._target.lifetime
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await (lifetime.resources() if self._is_group else lifetime.check())
        except TemporaryError as error:
            body = {"ready": False, "function": self._target.name, "reason": str(error)}
            return ErrorAnswer(body, status_code=503, headers=headers_of(error))
        except TimeoutError:
            body = {"ready": False, "function": self._target.name, "reason": "the check did not end in time"}
            return ErrorAnswer(body, status_code=503)
        return ErrorAnswer({"ready": True, "function": self._target.name})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        try:
            await self.start()
        except ConfigurationError as error:
            log.error("the function cannot start", extra={"function": self._target.name, "error": str(error)})  # noqa: TRY400
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


def metrics_answer(registry: CollectorRegistry = REGISTRY) -> Response:
    """Return the metrics of the process as Prometheus text."""
    return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})


class _LimitedBody:
    """Passes the body on until it is longer than the limit; then the function gets no more than the limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._read = 0

    def is_exceeded_by(self, scope: Scope) -> bool:
        """Tell by the announced length."""
        for name, value in scope["headers"]:
            if name == b"content-length":
                return value.isdigit() and int(value) > self._limit
        return False

    def error(self) -> PayloadTooLarge:
        """Return the error that says what is allowed."""
        return PayloadTooLarge(f"expected a body of at most {self._limit} bytes")

    async def __call__(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            raise self.error()
        return message
