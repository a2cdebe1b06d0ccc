"""Serving one function from the environment: settings, logs, application, and the server around them."""

import asyncio
import gc
import os
import sys

import uvloop
from starlette.types import ASGIApp

from common.errors import ConfigurationError
from common.host.app import create_app
from common.host.serving import listening, serve
from common.settings import load_settings
from common.signals import stop_on_signals
from common.telemetry.logs import configure_logging

_GRACE_S = 10


def main() -> int:
    """Serve until SIGTERM; 2 when the configuration is wrong, 3 when the function could not start."""
    target = os.environ.get("FUNCTION_TARGET", "")
    source = os.environ.get("FUNCTION_SOURCE", f"functions/{target}/main.py")
    try:
        settings = load_settings()
        configure_logging(settings, service=target)
        app = create_app(target, source, settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return 0 if runner.run(_serve(app, settings.port)) else 3
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2


async def _serve(app: ASGIApp, port: int) -> bool:
    with stop_on_signals() as stop:
        return await serve(app, [listening(port)], stop, grace_s=_GRACE_S, lifespan=True, started=_collect_garbage)


def _collect_garbage() -> None:
    """Begin to collect garbage when the start is over, and leave out what the start has made: it stays."""
    gc.freeze()
    gc.enable()
