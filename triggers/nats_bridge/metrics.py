"""Figures of the bridge for Prometheus, in a registry of their own: other parts use some of the same names."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

RECEIVED: Final = Counter(
    "data_manager_messages_received_total", "Messages received, redelivered ones included", ["event_type"],
    registry=REGISTRY,
)  # fmt: skip
FAILED: Final = Counter(
    "data_manager_messages_failed_total", "Messages that can never be processed", ["event_type", "error_type"],
    registry=REGISTRY,
)  # fmt: skip
CONNECTED: Final = Gauge("data_manager_nats_connection_status", "1 while connected to NATS", registry=REGISTRY)
RECONNECTIONS: Final = Counter(
    "data_manager_nats_reconnections_total", "Connections made anew after a loss", registry=REGISTRY
)
NATS_ERRORS: Final = Counter("data_manager_nats_errors_total", "Errors of the connection", ["type"], registry=REGISTRY)

DELIVERED: Final = Counter(
    "petrosa_bridge_messages_delivered_total", "Messages that the sink took", ["event_type"], registry=REGISTRY
)
IGNORED: Final = Counter(
    "petrosa_bridge_messages_ignored_total", "Messages of kinds that are not handled", ["kind"], registry=REGISTRY
)
REDELIVERED: Final = Counter(
    "petrosa_bridge_messages_redelivered_total", "Messages that were delivered before", registry=REGISTRY
)
RETURNED: Final = Counter(
    "petrosa_bridge_messages_returned_total", "Messages given back to the server for later", registry=REGISTRY
)
DEAD_LETTERS: Final = Counter(
    "petrosa_bridge_dead_letters_total", "Messages kept as dead letters", ["reason"], registry=REGISTRY
)
BATCH_MESSAGES: Final = Histogram(
    "petrosa_bridge_batch_messages", "Messages of a batch", ["event_type"], registry=REGISTRY,
    buckets=(1, 5, 20, 100, 250, 500, 1000, 2000),
)  # fmt: skip
BATCH_BYTES: Final = Histogram(
    "petrosa_bridge_batch_bytes", "Bytes of a batch", ["event_type"], registry=REGISTRY,
    buckets=(1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20),
)  # fmt: skip
SINK_SECONDS: Final = Histogram(
    "petrosa_bridge_sink_seconds", "Time until the sink answered", ["outcome"], registry=REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip
SINK_UP: Final = Gauge("petrosa_bridge_sink_up", "0 while the sink does not take batches", registry=REGISTRY)
IN_FLIGHT: Final = Gauge("petrosa_bridge_batches_in_flight", "Batches at the sink", registry=REGISTRY)
HELD_MESSAGES: Final = Gauge("petrosa_bridge_held_messages", "Messages received and not settled", registry=REGISTRY)
HELD_BYTES: Final = Gauge("petrosa_bridge_held_bytes", "Bytes of the messages held", registry=REGISTRY)

STREAM_MESSAGES: Final = Gauge("petrosa_stream_messages", "Messages in the stream", ["stream"], registry=REGISTRY)
STREAM_BYTES: Final = Gauge("petrosa_stream_bytes", "Bytes in the stream", ["stream"], registry=REGISTRY)
STREAM_FILL: Final = Gauge(
    "petrosa_stream_fill_ratio", "Bytes in the stream over its limit", ["stream"], registry=REGISTRY
)
CONSUMER_PENDING: Final = Gauge(
    "petrosa_consumer_pending_messages", "Messages not yet delivered", ["stream", "consumer"], registry=REGISTRY
)
CONSUMER_ACK_PENDING: Final = Gauge(
    "petrosa_consumer_ack_pending_messages", "Messages delivered and not settled", ["stream", "consumer"],
    registry=REGISTRY,
)  # fmt: skip
CONSUMER_REDELIVERED: Final = Gauge(
    "petrosa_consumer_redelivered_messages", "Unsettled messages that were delivered more than once",
    ["stream", "consumer"], registry=REGISTRY,
)  # fmt: skip
