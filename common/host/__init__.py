"""The function host: adapters that turn a handler into a functions-framework target, and the application around it.

``event_function`` and ``route_group`` make targets; ``common.host.app`` serves one of them with health, readiness,
metrics and start/stop hooks; ``python -m common.host`` is the process of the image. The names below load at first use:
the process decides how its modules load before any of them does.
"""

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from common.host.context import Context
    from common.host.event import event_function
    from common.host.opening import Opening, opener
    from common.host.routes import route_group

__all__ = ["Context", "Opening", "event_function", "opener", "route_group"]

_HOMES: Final = MappingProxyType(
    {
        "Context": "common.host.context",
        "Opening": "common.host.opening",
        "event_function": "common.host.event",
        "opener": "common.host.opening",
        "route_group": "common.host.routes",
    }
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
