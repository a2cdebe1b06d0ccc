"""The process of one function: ``FUNCTION_TARGET`` and ``FUNCTION_SOURCE`` say which, ``PORT`` where."""

import gc
import os
import sys


def main() -> int:
    """Serve until SIGTERM; 2 when the configuration is wrong."""
    _shorten_start()
    from common.host import process

    return process.main()


def _shorten_start() -> None:
    # Modules that load make tens of thousands of objects, and all stay: looking for garbage among them takes a seventh
    # of the start. The process begins with that when it serves.
    gc.disable()
    # pydantic reads the entry points of every installed package to find plugins; none is used here.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # A function has one CPU and small matrices: further threads of numpy's linear algebra would only wait for it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


if __name__ == "__main__":
    sys.exit(main())
