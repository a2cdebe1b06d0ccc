"""What the manifests say, in the terms of one machine: functions, subscriptions, schedules, delivery."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.local.broker.filters import Attributes, Filter
from infra.local.manifests.schedule import Schedule

BackoffPolicy = Literal["linear", "exponential"]
Role = Literal["event-function", "route-group"]


@dataclass(frozen=True, slots=True)
class FunctionService:
    """A function as it is deployed.

    Attributes:
        name: name of the Knative Service.
        target: name of the function (``FUNCTION_TARGET``).
        folder: its folder, relative to the project.
        source: its main.py, relative to the project (``FUNCTION_SOURCE``).
        role: what kind of function it is.
        routes: path prefixes that belong to a route group.
        local_process: which process hosts it on one machine.
        env: its literal environment.
        concurrency: requests at once (``containerConcurrency``); 0 means no limit.
    """

    name: str
    target: str
    folder: Path
    source: str
    role: Role
    routes: tuple[str, ...]
    local_process: str
    env: dict[str, str]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events go: the Knative Service of this name, or a URL. One of the two is set."""

    service: str | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an event is delivered.

    Attributes:
        retry: attempts after the first.
        policy: how the wait grows.
        delay_s: the unit of the wait.
        timeout_s: time for one request; nothing means the platform's own limit.
        dead_letter_sink: who gets what could not be delivered.
    """

    retry: int = 0
    policy: BackoffPolicy = "exponential"
    delay_s: float = 0.0
    timeout_s: float | None = None
    dead_letter_sink: Destination | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A subscription: events that pass all filters go to the subscriber. ``delivery`` is the effective one."""

    name: str
    filters: tuple[Filter, ...]
    subscriber: Destination
    delivery: Delivery
    file: Path

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes goes to the subscriber."""
        return all(one.matches(attributes) for one in self.filters)


@dataclass(frozen=True, slots=True)
class PingSource:
    """A schedule that fires events at the Broker; ``data`` is their body."""

    name: str
    namespace: str
    schedule: Schedule
    content_type: str | None
    data: bytes
    extensions: dict[str, str]

    @property
    def timezone(self) -> str:
        """The IANA name of the zone that the schedule is read in."""
        return self.schedule.timezone


@dataclass(frozen=True, slots=True)
class BrokerSpec:
    """The Broker, with the delivery of Triggers that have none of their own."""

    name: str
    namespace: str
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Manifests:
    """All manifests that matter on one machine."""

    broker: BrokerSpec
    services: tuple[FunctionService, ...]
    triggers: tuple[Trigger, ...]
    ping_sources: tuple[PingSource, ...]
