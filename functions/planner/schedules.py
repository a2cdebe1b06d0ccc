"""The schedules: how often each is due, and which requests one cycle of it makes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from common.analytics.declaration import subjects
from common.analytics.metrics import METRICS
from common.errors import ConfigurationError
from common.events.declaration import EventData
from common.events.envelope import Event
from common.events.own import AnalyticsRequested, AuditRequested, RetentionRequested
from common.settings import Settings
from common.times import SECOND_MS

SOURCE: Final = "/functions/planner"
_RETENTION_INTERVAL_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Cycle:
    """One run of a schedule.

    Attributes:
        as_of_ms: the instant that its results are about.
        cause: what made it due; begins the ids of its events, which are the same whenever it is planned again.
    """

    as_of_ms: int
    cause: str


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
    for name in settings.analytics_metrics:
        for subject in subjects(METRICS[name], settings.supported_pairs, settings.analytics_timeframes):
            data = AnalyticsRequested(
                metric=name, symbols=subject.symbols, timeframe=subject.timeframe, as_of_ms=cycle.as_of_ms
            )
            yield _event(data, cycle)


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
