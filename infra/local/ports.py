"""Ports of this machine: finding free ones for the parts, and saying clearly when a wanted one is taken."""

import random
import socket
from collections.abc import Collection
from typing import Final

from common.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
# Below the range from which Linux and macOS take the local ports of outgoing connections: a part that is started
# again must find its port free, and a client that knocks while it is away must not connect to itself.
_LOWEST: Final = 20_000
_HIGHEST: Final = 32_000


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, taken: Collection[int] = ()) -> list[int]:
    """Return ``count`` different ports that are free now and that no outgoing connection will occupy.

    Args:
        count: how many.
        taken: ports that are free but spoken for.

    Raises:
        ConfigurationError: fewer than ``count`` ports are free.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(_LOWEST, _HIGHEST), _HIGHEST - _LOWEST):
        if len(found) == count:
            return found
        if port not in taken and is_free(port):
            found.append(port)
    raise ConfigurationError(f"no free ports between {_LOWEST} and {_HIGHEST}: end programs that listen there")


def require_free(port: int, setting: str) -> None:
    """Check that the port of a setting is free.

    Raises:
        ConfigurationError: another program listens there; the text names the setting to change.
    """
    if not is_free(port):
        raise ConfigurationError(
            f"{setting}: port {port} is in use by another program. Stop that program, "
            f"or choose another port, for example {setting}={port + 10}"
        )
