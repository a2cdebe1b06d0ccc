"""Types of the events that are not declared in ``common.events.own``, and the names of extension attributes."""

from typing import Final

from common.models.families import BY_KIND

# The kinds of market data, by the name that stands in the event type. One batch event holds one kind.
MARKET_KINDS: Final = tuple(BY_KIND)


def market(kind: str) -> str:
    """Return the type of a batch of raw market messages of one kind."""
    return f"io.petrosa.market.{kind}.v1"


MARKET_REJECTED: Final = market("rejected")

PING: Final = "dev.knative.sources.ping"
SCHEDULE: Final = "schedule"  # extension of a ping: which schedule it is
MANUAL: Final = "manual"  # extension of a tick that no cron fired, "true"

COUNT: Final = "count"  # extension of a batch: how many messages it holds
TRACEPARENT: Final = "traceparent"
