"""What the manifests say, in the terms of one machine: functions, subscriptions, schedules, delivery."""

from dataclasses import dataclass
from typing import Literal

from infra.local.broker.filters import Attributes, Filter
from infra.local.manifests.schedule import Schedule

BackoffPolicy = Literal["linear", "exponential"]
Role = Literal["event-function", "route-group"]


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A question that a part is asked again and again while it runs.

    Attributes:
        path: what is asked; 200 to 399 is a success.
        period_s: time between two questions.
        timeout_s: time for an answer.
        failures: after so many in a row it has failed.
        delay_s: time before the first.
    """

    path: str
    period_s: float
    timeout_s: float
    failures: int
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FunctionService:
    """A function as it is deployed.

    Attributes:
        name: name of the Knative Service.
        target: name of the function (``FUNCTION_TARGET``).
        source: its main.py, relative to the project (``FUNCTION_SOURCE``).
        role: what kind of function it is.
        routes: path prefixes that belong to a route group.
        local_process: which process hosts it on one machine.
        env: its literal environment.
        concurrency: requests at once (``containerConcurrency``); 0 means no limit.
        readiness: asks whether it would serve a request.
        liveness: asks whether it has to be started again.
        emits: whether a SinkBinding gives it the Broker's address.
    """

    name: str
    target: str
    source: str
    role: Role
    routes: tuple[str, ...]
    local_process: str
    env: dict[str, str]
    concurrency: int
    readiness: HttpProbe | None = None
    liveness: HttpProbe | None = None
    emits: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A Deployment: a program that runs beside the functions.

    Attributes:
        name: which part of the run it is.
        command: what runs; ``python`` stands for that of the run.
        env: its literal environment.
        readiness: asks whether it does its work.
        liveness: asks whether it has to be started again.
        grace_s: time to end after SIGTERM.
        emits: whether a SinkBinding gives it the Broker's address.
        address_variable: by which variable the other parts find it.
    """

    name: str
    command: tuple[str, ...]
    env: dict[str, str]
    readiness: HttpProbe | None
    liveness: HttpProbe | None
    grace_s: float
    emits: bool
    address_variable: str | None


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
        timeout_s: time for one request; None means the platform's own limit.
        dead_letter_sink: who gets what could not be delivered.
    """

    retry: int = 0
    policy: BackoffPolicy = "exponential"
    delay_s: float = 0.0
    timeout_s: float | None = None
    dead_letter_sink: Destination | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A subscription: events that pass all filters go to the subscriber.

    ``delivery`` is the effective one; ``where`` names the manifest.
    """

    name: str
    filters: tuple[Filter, ...]
    subscriber: Destination
    delivery: Delivery
    where: str

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
    programs: tuple[Program, ...] = ()
