"""The schedules: how often each is due, and which requests one cycle of it makes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from common.analytics.declaration import Metric, subjects
from common.analytics.metrics import METRICS
from common.errors import ConfigurationError
from common.events.declaration import EventData
from common.events.envelope import Event
from common.events.own import AnalyticsRequested, AuditRequested, RetentionRequested
from common.settings import Settings
from common.timeframes import Timeframe
from common.times import MINUTE_MS, SECOND_MS

SOURCE: Final = "/functions/planner"
_RETENTION_INTERVAL_S: Final = 3600
# By then a closed candle has come through the stream, when nothing is wrong.
_ARRIVAL_MS: Final = MINUTE_MS


@dataclass(frozen=True, slots=True)
class Cycle:
    """One run of a schedule.

    Attributes:
        as_of_ms: the instant that its results are about.
        cause: what made it due; begins the ids of its events, which are the same whenever it is planned again.
        after_ms: the cycle before; None before the first one, and for one by hand.
    """

    as_of_ms: int
    cause: str
    after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A kind of recurring work.

    Attributes:
        name: value of the tick's extension ``schedule``.
        interval_ms: length of its slots, by configuration.
        is_enabled: whether it is switched on; the slots of one that is off pass without events.
        events: the events of one cycle.
    """

    name: str
    interval_ms: Callable[[Settings], int]
    is_enabled: Callable[[Settings], bool]
    events: Callable[[Settings, Cycle], Iterator[Event]]


def _audits(settings: Settings, cycle: Cycle) -> Iterator[Event]:
    for timeframe in settings.timeframes:
        for symbol in settings.supported_pairs:
            data = AuditRequested(symbol=symbol, timeframe=timeframe, as_of_ms=cycle.as_of_ms)
            yield _event(data, cycle)


def _analytics(settings: Settings, cycle: Cycle) -> Iterator[Event]:
    for name in settings.analytics_metrics or METRICS:
        for subject in subjects(METRICS[name], settings.supported_pairs, settings.analytics_timeframes):
            as_of_ms = _instant(METRICS[name], subject.timeframe, cycle)
            if as_of_ms is not None:
                data = AnalyticsRequested(
                    metric=name, symbols=subject.symbols, timeframe=subject.timeframe, as_of_ms=as_of_ms
                )
                yield _event(data, cycle)


def _instant(metric: Metric, timeframe: Timeframe | None, cycle: Cycle) -> int | None:
    """Return what a document of this cycle is about; None when there has to be none.

    A metric of whole candles is about the last close, and is asked for in the first cycle by which the candle has had
    time to arrive. A candle that comes later still goes into the document of the next close.
    """
    if timeframe is None or not metric.once_a_candle:
        return cycle.as_of_ms
    close_ms = timeframe.floor(cycle.as_of_ms - _ARRIVAL_MS)
    is_new = cycle.after_ms is None or close_ms > timeframe.floor(cycle.after_ms - _ARRIVAL_MS)
    return close_ms if is_new else None


def _retention(_settings: Settings, cycle: Cycle) -> Iterator[Event]:
    yield _event(RetentionRequested(as_of_ms=cycle.as_of_ms), cycle)


def _event(data: EventData, cycle: Cycle) -> Event:
    return data.to_event(source=SOURCE, cause=cycle.cause, time_ms=cycle.as_of_ms)


SCHEDULES: Final[Mapping[str, Schedule]] = MappingProxyType(
    {
        schedule.name: schedule
        for schedule in (
            Schedule("audit", lambda it: it.audit_interval * SECOND_MS, lambda it: it.enable_auditor, _audits),
            Schedule(
                "analytics", lambda it: it.analytics_interval * SECOND_MS, lambda it: it.enable_analytics, _analytics
            ),
            Schedule("retention", lambda _: _RETENTION_INTERVAL_S * SECOND_MS, lambda _: True, _retention),
        )
    }
)


def check_metrics(settings: Settings) -> None:
    """Refuse to start with a metric that no calculator makes.

    Raises:
        ConfigurationError: naming it and the known ones.
    """
    unknown = [name for name in settings.analytics_metrics if name not in METRICS]
    if unknown:
        raise ConfigurationError(f"ANALYTICS_METRICS: expected some of {', '.join(METRICS)}, was {unknown[0]!r}")
