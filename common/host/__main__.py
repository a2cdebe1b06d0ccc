"""The process of one function: ``FUNCTION_TARGET`` and ``FUNCTION_SOURCE`` say which, ``PORT`` where."""

import gc
import sys


def main() -> int:
    """Serve until SIGTERM; 2 when the configuration is wrong.

    Modules that load make tens of thousands of objects that stay. Looking for garbage among them takes a seventh of a
    cold start and finds none, so that begins when the function serves.
    """
    gc.disable()
    from common.host.process import serve

    return serve()


if __name__ == "__main__":
    sys.exit(main())
