"""What the broker counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RECEIVED: Final = Counter("petrosa_broker_events_received_total", "Events at the ingress", ["type", "status"])
DELIVERIES: Final = Counter("petrosa_broker_deliveries_total", "Attempts to deliver", ["trigger", "status"])
DELIVERY_SECONDS: Final = Histogram("petrosa_broker_delivery_seconds", "Time of one attempt", ["trigger"])
RETRIES: Final = Counter("petrosa_broker_retries_total", "Attempts after the first", ["trigger"])
DEAD_LETTERS: Final = Counter("petrosa_broker_dead_letters_total", "Events given up", ["trigger", "status"])
WAITING_EVENTS: Final = Gauge("petrosa_broker_waiting_events", "Events taken and not yet delivered", ["trigger"])
WAITING_BYTES: Final = Gauge("petrosa_broker_waiting_bytes", "Bodies taken and not yet delivered", ["trigger"])
STREAM_BYTES: Final = Gauge("petrosa_stream_bytes", "Bytes in the stream", ["stream"])
STREAM_FILL: Final = Gauge("petrosa_stream_fill_ratio", "Bytes in the stream over its limit", ["stream"])
CONNECTED: Final = Gauge("petrosa_broker_nats_connected", "1 while events can be kept, else 0")

_MAX_TYPES: Final = 200
_types: Final[set[str]] = set()


def observe(trigger: str, status: int, seconds: float) -> None:
    """Count one attempt; status 0 stands for no answer."""
    DELIVERIES.labels(trigger, status).inc()
    DELIVERY_SECONDS.labels(trigger).observe(seconds)


def stored(stream: str, size: int, limit: int) -> None:
    """Set how full a stream is, in bytes."""
    STREAM_BYTES.labels(stream).set(size)
    STREAM_FILL.labels(stream).set(size / limit)


def received(event_type: str, status: int) -> None:
    """Count one request at the ingress; types that senders make up without end are counted as ``other``."""
    if event_type not in _types:
        if len(_types) >= _MAX_TYPES:
            event_type = "other"
        _types.add(event_type)
    RECEIVED.labels(event_type, status).inc()
