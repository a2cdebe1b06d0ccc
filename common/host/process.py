"""Serving one function from the environment: settings, logs, application, and uvicorn around them."""

import gc
import os
import socket
import sys

import uvicorn

from common.errors import ConfigurationError
from common.host.app import create_app
from common.settings import load_settings
from common.telemetry.logs import configure_logging


def serve() -> int:
    """Serve until SIGTERM; 2 when the configuration is wrong, 3 when the function could not start."""
    target = os.environ.get("FUNCTION_TARGET", "")
    source = os.environ.get("FUNCTION_SOURCE", f"functions/{target}/main.py")
    try:
        settings = load_settings()
        configure_logging(settings, service=target)
        app = create_app(target, source, settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    server = _Server(
        uvicorn.Config(
            app,
            host="0.0.0.0",  # noqa: S104 - the pod's only port
            port=settings.port,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
        )
    )
    server.run()
    return 0 if server.started else 3


class _Server(uvicorn.Server):
    """Begins to collect garbage when the start is over, and leaves out what the start has made: it stays."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        gc.freeze()
        gc.enable()
