"""Names of all event types, in one place; the README's table and the tests of the manifests follow it."""

from typing import Final

from common.models.families import BY_KIND

PREFIX: Final = "io.petrosa."

# The kinds of market data, by the name that stands in the event type. One batch event holds one kind.
MARKET_KINDS: Final = tuple(BY_KIND)


def market(kind: str) -> str:
    """Return the type of a batch of raw market messages of one kind."""
    return f"{PREFIX}market.{kind}.v1"


MARKET_REJECTED: Final = market("rejected")
MARKET_SESSION: Final = market("session")

PING: Final = "dev.knative.sources.ping"
SCHEDULE: Final = "schedule"  # extension of a ping: which schedule it is
MANUAL: Final = "manual"  # extension of a tick that no cron fired, "true"

AUDIT_REQUESTED: Final = f"{PREFIX}audit.requested.v1"
ANALYTICS_REQUESTED: Final = f"{PREFIX}analytics.requested.v1"
ANOMALY_REQUESTED: Final = f"{PREFIX}anomaly.requested.v1"
CATALOG_REQUESTED: Final = f"{PREFIX}catalog.requested.v1"
RETENTION_REQUESTED: Final = f"{PREFIX}retention.requested.v1"

ANALYTICS_COMPUTED: Final = f"{PREFIX}analytics.computed.v1"
METRIC: Final = "metric"  # extension of analytics events: which calculator
TIMEFRAME: Final = "timeframe"  # extension of analytics events: which candles
COUNT: Final = "count"  # extension of a batch: how many messages it holds
TRACEPARENT: Final = "traceparent"
