"""The system's own events: what is asked for (audit, analytics, retention) and what was computed."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from common.errors import InvalidEvent
from common.events.declaration import AsOf, EventData, Symbol
from common.timeframes import Timeframe

MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class AuditRequested(EventData):
    """The candles of one pair and timeframe are to be audited as they stood at ``as_of_ms``."""

    TYPE = "io.petrosa.audit.requested.v1"
    WAY = "planner → subscribers"
    IDENTITY = ("symbol", "timeframe")
    EXTENSIONS = ("timeframe",)

    symbol: Symbol
    timeframe: Timeframe
    as_of_ms: AsOf


class AnalyticsRequested(EventData):
    """A metric is to be computed from what had happened by ``as_of_ms``.

    Attributes:
        metric: which calculator.
        symbols: the pair; several for a metric that compares pairs.
        timeframe: which candles; None for a metric of order books.
        as_of_ms: the instant that the document is about.
    """

    TYPE = "io.petrosa.analytics.requested.v1"
    WAY = "planner → the calculator of the metric"
    IDENTITY = ("metric", "symbol", "timeframe")
    EXTENSIONS = ("metric", "timeframe")

    metric: MetricName
    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1)]
    timeframe: Timeframe | None = None
    as_of_ms: AsOf

    @property
    def symbol(self) -> str | None:
        """The pair, when the request is about one only."""
        return self.symbols[0] if len(self.symbols) == 1 else None

    def one_symbol(self) -> str:
        """Return the pair of a metric that is about one.

        Raises:
            InvalidEvent: the request names several.
        """
        if self.symbol is None:
            raise InvalidEvent("symbols", "one symbol", self.symbols)
        return self.symbol

    def one_timeframe(self) -> Timeframe:
        """Return the timeframe of a metric of candles.

        Raises:
            InvalidEvent: the request names none.
        """
        if self.timeframe is None:
            raise InvalidEvent("timeframe", "one of " + ", ".join(Timeframe))
        return self.timeframe


class RetentionRequested(EventData):
    """What is older than its configured age is to be deleted."""

    TYPE = "io.petrosa.retention.requested.v1"
    WAY = "planner → retention"

    as_of_ms: AsOf


class AnalyticsComputed(EventData):
    """A document was computed and stored; ``document`` is its body as the API serves it.

    Attributes:
        metric: what was computed.
        symbol: about which pair, or the market.
        timeframe: from which candles, if any.
        as_of_ms: the instant that it is about; with the three above the key of the stored document.
        document: its body.
        omitted: fields that the body lacks here, because they would make the event too large to be carried
            everywhere. The stored document has them.
    """

    TYPE = "io.petrosa.analytics.computed.v1"
    WAY = "calculators → subscribers"
    IDENTITY = ("metric", "symbol")
    EXTENSIONS = ("metric", "timeframe")

    metric: MetricName
    symbol: str
    timeframe: Timeframe | None = None
    as_of_ms: AsOf
    document: Mapping[str, Any]
    omitted: tuple[str, ...] = ()


def own_events() -> list[type[EventData]]:
    """Return all of them: every class above, in that order."""
    return [kind for kind in EventData.__subclasses__() if kind.__module__ == __name__]
