"""The function host: adapters that turn a handler into a functions-framework target, and the application around it.

``event_function`` and ``route_group`` make targets; ``common.host.app`` serves one of them with health, readiness,
metrics and start/stop hooks; ``python -m common.host`` is the process of the image.
"""

from common.host.context import Context
from common.host.event import event_function
from common.host.routes import route_group

__all__ = ["Context", "event_function", "route_group"]
