"""How requests pass functions-framework: what its application is shown of a request, and how a target gets the rest."""

from typing import Final

from starlette.types import Receive, Scope, Send

_ENCLOSED: Final = "petrosa.request"
# What the framework's router adds to a scope.
_ADDED: Final = frozenset({"router", "endpoint", "path_params", "app", "route"})
# The framework makes a random id for every request that has none, which costs as much as a short answer. Requests are
# followed by their trace here, and nothing reads that id.
_EXECUTION_ID: Final = (b"function-execution-id", b"-")


def shown(scope: Scope) -> Scope:
    """Return the scope with which the framework passes a request on as it is."""
    return {**scope, "headers": [*scope["headers"], _EXECUTION_ID]}


def enclosed(scope: Scope, receive: Receive, send: Send) -> Scope:
    """Return a scope of the framework's first route that has a request in it: path and headers are the target's matter.

    The framework tries its routes one after the other, and reads and wraps what a target may not even need.
    """
    request = (scope, receive, send)
    return {"type": "http", "method": scope["method"], "path": "/", "headers": [], _ENCLOSED: request}


def opened(scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """Return the request that was enclosed, untouched; from a host that encloses none, the one that came."""
    request: tuple[Scope, Receive, Send] | None = scope.get(_ENCLOSED)
    return request or ({key: value for key, value in scope.items() if key not in _ADDED}, receive, send)
