"""The broker: a copy of each event for every Trigger that wants it, and each copy to its subscriber.

Every kept copy is a task of its own: it waits for its turn at the subscriber, is tried again by the retry table, ends
in the dead-letter sink, or stays. Waiting for a retry holds no place, so one bad event never blocks the others, and one
slow subscriber never blocks the other Triggers.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from common.clock import Clock
from common.errors import TemporaryError
from common.events.envelope import from_http
from common.times import to_iso
from infra.local.broker import metrics
from infra.local.broker.delivery import Answer, Poster, RetryTable, dead_letter_attributes
from infra.local.broker.store import EventStore, StoredEvent
from infra.local.manifests import Delivery, Destination, Manifests, Trigger
from infra.local.plan import BrokerPlan

log = logging.getLogger(__name__)

TTL: Final = 255
_TTL_HEADER: Final = "ce-knativebrokerttl"
_ARRIVAL_HEADER: Final = "ce-knativearrivaltime"
# What may wait for one Trigger; beyond it the ingress refuses events that the Trigger wants.
WAITING_BYTES: Final = 32 * 1024 * 1024
_CONCURRENCY: Final = 8
_LONGEST_DEAD_LETTER_WAIT_S: Final = 30.0


@dataclass(slots=True)
class Route:
    """A Trigger with the address of its subscriber, and what waits for it."""

    trigger: Trigger
    url: str
    dead_letter_url: str | None
    places: asyncio.Semaphore
    waiting_bytes: int = 0
    waiting: int = 0

    def wants(self, attributes: Mapping[str, str]) -> bool:
        """Tell whether every filter of the Trigger passes the event."""
        return all(each.matches(attributes) for each in self.trigger.filters)

    @property
    def is_full(self) -> bool:
        """Tell whether no more may wait."""
        return self.waiting_bytes >= WAITING_BYTES


@dataclass(slots=True)
class Broker:
    """Routes, keeps and delivers events."""

    plan: BrokerPlan
    store: EventStore
    poster: Poster
    clock: Clock
    routes: dict[str, Route]
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        """Open the store and go on with what an earlier broker had not delivered."""
        await self.store.open()
        count = 0
        async for event in self.store.left_over():
            count += 1
            if event.trigger in self.routes:
                self._spawn(event)
            else:
                log.warning("dropping an event of a Trigger that is gone", extra={"trigger": event.trigger})
                self.store.forget(event)
        if count:
            log.info("going on with undelivered events", extra={"count": count})

    async def accept(self, headers: dict[str, str], body: bytes, *, ttl: int = TTL) -> None:
        """Take an event: returns when it is kept for every Trigger that wants it.

        Args:
            headers: names in lower case.
            body: the event's body.
            ttl: how often it may still re-enter.

        Raises:
            MalformedEvent: it is no CloudEvent.
            TemporaryError: too much waits already, or the store is away; nothing or a part was kept.
        """
        event = from_http(headers, body)
        wanted = [route for route in self.routes.values() if route.wants(event.attributes)]
        full = [route.trigger.name for route in wanted if route.is_full]
        if full:
            raise TemporaryError(f"too many events wait for {', '.join(full)}", retry_after_s=1)
        kept = {name: value for name, value in headers.items() if name != _TTL_HEADER}
        if "ce-id" in kept:  # binary mode; a structured event is passed through as it is
            kept.setdefault(_ARRIVAL_HEADER, to_iso(self.clock.now_ms()))
        for route in wanted:
            stored = await self.store.keep(StoredEvent(route.trigger.name, kept, body, ttl))
            self._spawn(stored)

    def _spawn(self, event: StoredEvent) -> None:
        route = self.routes[event.trigger]
        route.waiting += 1
        route.waiting_bytes += len(event.body)
        metrics.WAITING.labels(event.trigger).set(route.waiting)
        task = asyncio.get_running_loop().create_task(self._deliver(route, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, route: Route, event: StoredEvent) -> None:
        answer = await self._attempts(route, event)
        if not answer.is_success:
            await self._dead_letter(route, event, answer)
        elif answer.reply is not None:
            await self._reenter(answer.reply, event.ttl - 1)
        self.store.forget(event)
        route.waiting -= 1
        route.waiting_bytes -= len(event.body)
        metrics.WAITING.labels(event.trigger).set(route.waiting)

    async def _attempts(self, route: Route, event: StoredEvent) -> Answer:
        """Send an event until it is taken, refused for good, or out of retries; returns the last answer."""
        table = RetryTable(route.trigger.delivery)
        retry = 0
        while True:
            async with route.places:
                started = time.perf_counter()
                answer = await self.poster.send(
                    route.url, event.headers, event.body, timeout_s=route.trigger.delivery.timeout_s
                )
            metrics.observe(event.trigger, answer.status, time.perf_counter() - started)
            if answer.is_success or not answer.is_retried:
                return answer
            wait_s = table.wait_s(retry)
            if wait_s is None:
                return answer
            retry += 1
            metrics.RETRIES.labels(event.trigger).inc()
            await asyncio.sleep(wait_s)

    async def _dead_letter(self, route: Route, event: StoredEvent, answer: Answer) -> None:
        """Hand a failed event to the dead-letter sink, for as long as that takes."""
        log.warning(
            "the event was given up",
            extra={"trigger": event.trigger, "status": answer.status, "event_id": event.headers.get("ce-id")},
        )
        metrics.DEAD_LETTERS.labels(event.trigger).inc()
        if route.dead_letter_url is None:
            return
        trigger_url = f"{self.plan.ingress_url}/triggers/{event.trigger}"
        attributes = dead_letter_attributes(answer, trigger_url=trigger_url, destination=route.url)
        headers = {**event.headers, **attributes}
        wait_s = route.trigger.delivery.delay_s or 1.0
        while True:
            sent = await self.poster.send(
                route.dead_letter_url, headers, event.body, timeout_s=route.trigger.delivery.timeout_s
            )
            if sent.is_success:
                return
            if not sent.is_retried:
                log.error("the dead-letter sink refused an event", extra={"status": sent.status})
                return
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_DEAD_LETTER_WAIT_S)

    async def _reenter(self, reply: tuple[dict[str, str], bytes], ttl: int) -> None:
        """Take a reply as an event of its own; it waits while the broker cannot keep it."""
        if ttl <= 0:
            log.warning("a reply went round too often and was dropped", extra={"event_id": reply[0].get("ce-id")})
            return
        while True:
            try:
                await self.accept(*reply, ttl=ttl)
            except TemporaryError:
                await asyncio.sleep(1)
            else:
                return

    async def stop(self) -> None:
        """Stop delivering; what is not delivered stays in the store for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.poster.close()
        await self.store.close()


def routes_of(manifests: Manifests, plan: BrokerPlan) -> dict[str, Route]:
    """Return a route for every Trigger whose subscriber runs; the others are reported and left out."""
    concurrency = {service.name: service.concurrency for service in manifests.services}
    routes = {}
    for trigger in manifests.triggers:
        url = _address(trigger.subscriber, plan)
        if url is None:
            log.warning("nobody runs for a Trigger", extra={"trigger": trigger.name})
            continue
        places = concurrency.get(trigger.subscriber.service or "", 0) or _CONCURRENCY
        dead_letter_url = _dead_letter_url(trigger.delivery, plan)
        routes[trigger.name] = Route(trigger, url, dead_letter_url, asyncio.Semaphore(places))
    return routes


def _dead_letter_url(delivery: Delivery, plan: BrokerPlan) -> str | None:
    return None if delivery.dead_letter_sink is None else _address(delivery.dead_letter_sink, plan)


def _address(destination: Destination, plan: BrokerPlan) -> str | None:
    if destination.service is None:
        return destination.uri
    base = plan.subscribers.get(destination.service)
    return None if base is None else f"{base.rstrip('/')}/{(destination.uri or '').lstrip('/')}"
