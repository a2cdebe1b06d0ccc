"""The process of one function: ``FUNCTION_TARGET`` and ``FUNCTION_SOURCE`` say which, ``PORT`` where."""

import os
import sys

import uvicorn

from common.errors import ConfigurationError
from common.host.app import create_app
from common.settings import load_settings
from common.telemetry.logs import configure_logging


def main() -> int:
    """Serve until SIGTERM; 2 when the configuration is wrong."""
    target = os.environ.get("FUNCTION_TARGET", "")
    source = os.environ.get("FUNCTION_SOURCE", f"functions/{target}/main.py")
    try:
        settings = load_settings()
        configure_logging(settings, service=target)
        app = create_app(target, source, settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host="0.0.0.0",  # noqa: S104 - the pod's only port
            port=settings.port,
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
        )
    )
    server.run()
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main())
