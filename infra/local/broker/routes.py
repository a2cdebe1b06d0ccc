"""The Triggers of the broker with the addresses of this run, and what waits for each of them."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from common.errors import ConfigurationError
from infra.local.broker import metrics
from infra.local.broker.message import Message
from infra.local.broker.plan import BrokerPlan
from infra.local.manifests.model import Destination, Manifests, Trigger

log = logging.getLogger(__name__)

# What may wait for one Trigger, in memory and in the store; beyond it the ingress refuses events that it wants.
WAITING_BYTES: Final = 32 * 1024 * 1024
WAITING_EVENTS: Final = 10_000
# Deliveries at once to a subscriber that does not say how many it takes.
_CONCURRENCY: Final = 8


@dataclass(slots=True)
class Route:
    """A Trigger with the address of its subscriber.

    Attributes:
        trigger: the Trigger.
        url: where its events go.
        destination: the subscriber's address as dead letters name it: the same in every run.
        dead_letter_url: where those go that are given up.
        places: deliveries that may still begin.
        kept: events in the store that could not be delivered yet.
    """

    trigger: Trigger
    url: str
    destination: str
    dead_letter_url: str | None
    places: asyncio.Semaphore
    kept: int = field(default=0, init=False)
    _events: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        """Name of the Trigger."""
        return self.trigger.name

    @property
    def is_full(self) -> bool:
        """Tell whether no more may wait."""
        return self._bytes >= WAITING_BYTES or self._events >= WAITING_EVENTS

    def add(self, message: Message) -> None:
        """Count an event that waits."""
        self._count(1, len(message.body))

    def remove(self, message: Message) -> None:
        """Count an event that waits no longer."""
        self._count(-1, -len(message.body))

    def _count(self, events: int, size: int) -> None:
        self._events += events
        self._bytes += size
        metrics.WAITING_EVENTS.labels(self.name).set(self._events)
        metrics.WAITING_BYTES.labels(self.name).set(self._bytes)


def routes_of(manifests: Manifests, plan: BrokerPlan) -> list[Route]:
    """Return a route for every Trigger whose subscriber runs; the others are reported and left out.

    Raises:
        ConfigurationError: the dead-letter sink of a Trigger does not run, so its events could get lost.
    """
    concurrency = {service.name: service.concurrency for service in manifests.services}
    routes = []
    for trigger in manifests.triggers:
        url = _address(trigger.subscriber, plan)
        if url is None:
            log.warning("nobody runs for a Trigger", extra={"trigger": trigger.name})
            continue
        routes.append(
            Route(
                trigger=trigger,
                url=url,
                destination=_lasting_address(trigger.subscriber, plan),
                dead_letter_url=_dead_letter_url(trigger, plan),
                places=asyncio.Semaphore(concurrency.get(trigger.subscriber.service or "") or _CONCURRENCY),
            )
        )
    return routes


def _dead_letter_url(trigger: Trigger, plan: BrokerPlan) -> str | None:
    sink = trigger.delivery.dead_letter_sink
    if sink is None:
        return None
    url = _address(sink, plan)
    if url is None:
        raise ConfigurationError(
            f"{trigger.where}: spec.delivery.deadLetterSink: the Service {sink.service} was not found among those that "
            "run: add it, or name another"
        )
    return url


def _address(destination: Destination, plan: BrokerPlan) -> str | None:
    return destination.uri if destination.service is None else plan.subscribers.get(destination.service)


def _lasting_address(destination: Destination, plan: BrokerPlan) -> str:
    if destination.service is None:
        return destination.uri or ""
    return f"http://{destination.service}.{plan.namespace}.svc.cluster.local"
