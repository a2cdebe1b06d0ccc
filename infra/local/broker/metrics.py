"""What the broker counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RECEIVED: Final = Counter("petrosa_broker_events_received_total", "Events at the ingress", ["type", "status"])
DELIVERIES: Final = Counter("petrosa_broker_deliveries_total", "Attempts to deliver", ["trigger", "status"])
DELIVERY_SECONDS: Final = Histogram("petrosa_broker_delivery_seconds", "Time of one attempt", ["trigger"])
RETRIES: Final = Counter("petrosa_broker_retries_total", "Attempts after the first", ["trigger"])
DEAD_LETTERS: Final = Counter("petrosa_broker_dead_letters_total", "Events given up", ["trigger"])
WAITING: Final = Gauge("petrosa_broker_waiting_events", "Events kept and not yet delivered", ["trigger"])

_MAX_TYPES: Final = 200
_types: Final[set[str]] = set()


def observe(trigger: str, status: int, seconds: float) -> None:
    """Count one attempt."""
    DELIVERIES.labels(trigger, status).inc()
    DELIVERY_SECONDS.labels(trigger).observe(seconds)


def received(event_type: str | None, status: int) -> None:
    """Count one request at the ingress; types that senders make up without end are counted as ``other``."""
    name = event_type or "none"
    if name not in _types:
        if len(_types) >= _MAX_TYPES:
            name = "other"
        _types.add(name)
    RECEIVED.labels(name, status).inc()
