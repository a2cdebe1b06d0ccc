"""A process that hosts functions: ``python -m infra.local.origin.worker --plan FILE --process NAME``.

One event loop and one HTTP server for all of them; a request for ``/<service>/…`` goes to that function with the rest
of the path. The process that is the single origin listens on a second port for it. When the start hook of one
function fails the whole process ends, so that the failure is seen and the start is tried again.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpcore
import uvloop
from prometheus_client import REGISTRY, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from common.errors import ConfigurationError, PetrosaError
from common.host.app import FunctionApp, create_app, metrics_answer
from common.host.errors import ErrorAnswer
from common.host.serving import listening, serve
from common.settings import Settings, load_settings
from common.signals import stop_on_signals
from common.telemetry.logs import configure_logging
from infra.local.origin.gateway import Origin, Routes, gathered_metrics, under
from infra.local.origin.layout import HostedFunction, Worker, WorkersPlan, read_plan
from infra.local.origin.upstream import Upstream
from infra.local.ports import LOOPBACK

log = logging.getLogger(__name__)

_GRACE_S = 5


class FunctionStartFailed(PetrosaError):
    """The start hook of a function failed; the process ends and is started again."""


class HostedFunctions:
    """The functions of this process by the first segment of the path; ``origin`` takes what came to its port."""

    def __init__(self, functions: Mapping[str, ASGIApp], origin: ASGIApp | None, origin_port: int | None) -> None:
        self._functions = functions
        self._origin = origin
        self._origin_port = origin_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or nothing for the lifespan: start and stop hooks run around the server."""
        if scope["type"] != "http":
            return
        if self._origin is not None and scope["server"][1] == self._origin_port:
            await self._origin(scope, receive, send)
            return
        name, _, rest = scope["path"][1:].partition("/")
        app = self._functions.get(name)
        if app is not None:
            await app(under(scope, f"/{name}", rest), receive, send)
            return
        await self._answer(name)(scope, receive, send)

    def _answer(self, name: str) -> ASGIApp:
        if name == "metrics":
            return metrics_answer()
        if name == "healthz":
            return ErrorAnswer({"status": "ok", "functions": list(self._functions)})
        return ErrorAnswer({"detail": "Not Found"}, status_code=404)


def settings_of(function: HostedFunction) -> Settings:
    """Return the settings of one function: the manifest's values where the environment says nothing."""
    declared = {name.lower(): value for name, value in function.environment.items() if name not in os.environ}
    return load_settings(**{name: value for name, value in declared.items() if name in Settings.model_fields})


def load_functions(worker: Worker) -> dict[str, FunctionApp]:
    """Return the application of each function that the process hosts, by the name of its service."""
    return {
        function.name: create_app(function.target, function.source, settings_of(function))
        for function in worker.functions
    }


@asynccontextmanager
async def started(functions: Mapping[str, FunctionApp]) -> AsyncIterator[None]:
    """Run the start hooks of all functions side by side, and their stop hooks when the block is left.

    Raises:
        ConfigurationError: a setting of one is wrong, so that a new try would end the same.
        FunctionStartFailed: the start of one failed otherwise. Both name each that failed, and the others were stopped.
    """
    outcomes = await asyncio.gather(*(each.start() for each in functions.values()), return_exceptions=True)
    failures = {name: error for name, error in zip(functions, outcomes, strict=True) if error is not None}
    try:
        if failures:
            is_wrong = any(isinstance(error, ConfigurationError) for error in failures.values())
            named = "; ".join(f"{name}: {error}" for name, error in failures.items())
            raise (ConfigurationError if is_wrong else FunctionStartFailed)(f"did not start: {named}")
        yield
    finally:
        await asyncio.gather(*(each.stop() for each in functions.values()))


def origin_app(
    plan: WorkersPlan, worker: Worker, hosted: Mapping[str, ASGIApp], pool: httpcore.AsyncConnectionPool
) -> Origin:
    """Return the single origin: functions of this process are called, those of others are asked over HTTP."""
    addresses = plan.subscribers()
    by_name = {name: hosted.get(name) or Upstream(address, pool) for name, address in addresses.items()}
    functions = [function for each in plan.workers for function in each.functions]
    by_prefix = {prefix: by_name[function.name] for function in functions for prefix in function.routes}
    others = {each.name: each.url for each in plan.workers if each is not worker} | plan.others

    async def metrics() -> dict[str, str]:
        return await gathered_metrics({worker.name: _own_metrics}, others, pool)

    groups = tuple(function.name for function in functions if function.routes)
    return Origin(Routes(by_prefix, by_name), groups, metrics)


def _own_metrics() -> str:
    return generate_latest(REGISTRY).decode()


async def host(plan: WorkersPlan, worker: Worker) -> None:
    """Host the functions until SIGTERM.

    Raises:
        FunctionStartFailed: a start hook failed.
        ConfigurationError: a port is taken.
    """
    hosted = load_functions(worker)
    ports = [worker.port, *([worker.origin_port] if worker.origin_port else [])]
    with stop_on_signals() as stop:
        async with (
            httpcore.AsyncConnectionPool(
                max_connections=1000, max_keepalive_connections=100, keepalive_expiry=60
            ) as pool,
            started(hosted),
        ):
            origin = origin_app(plan, worker, hosted, pool) if worker.origin_port else None
            app = HostedFunctions(hosted, origin, worker.origin_port)
            await serve(app, [listening(port, LOOPBACK) for port in ports], stop, grace_s=_GRACE_S)


def main() -> int:
    """Run the process; 2 when the configuration is wrong, 3 when a function did not start."""
    parser = argparse.ArgumentParser(description="Host functions of the one-machine system.")
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--process", required=True)
    arguments = parser.parse_args()
    plan = read_plan(arguments.plan)
    worker = plan.worker(arguments.process)
    try:
        configure_logging(load_settings(), service=worker.name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(host(plan, worker))
    except ConfigurationError as error:
        log.error("the process cannot start", extra={"part": worker.name, "error": str(error)})  # noqa: TRY400
        return 2
    except FunctionStartFailed:
        log.exception("the process cannot start", extra={"part": worker.name})
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
