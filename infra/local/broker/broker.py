"""The broker: a copy of each event for every Trigger that wants it, and each copy to its subscriber.

Every copy is a task of its own: it waits for its turn at the subscriber, is tried again by the retry table, ends in
the dead-letter sink, or stays. Waiting for a retry holds no place, so one bad event never blocks the others, and one
slow subscriber never blocks the other Triggers. What may wait in memory is bounded for each Trigger; beyond that the
sender is told to come back.

The sender of an event gets its answer when no copy can be lost any more: it was delivered, or it is in the store. A
sender that waits for the delivery (``Prefer: wait=…``) spares the store what its subscribers take in that time.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final

from common.clock import Clock
from common.errors import SenderError, TemporaryError
from infra.local.broker import metrics
from infra.local.broker.delivery import RetryTable, Returned, dead_letter
from infra.local.broker.message import TTL_HEADER, Message, admitted
from infra.local.broker.poster import Poster
from infra.local.broker.routes import Route
from infra.local.broker.store import NEW_FILL, EventStore, StoredEvent

log = logging.getLogger(__name__)

_LONGEST_DEAD_LETTER_WAIT_S: Final = 30.0
_RETRY_S: Final = 1.0
_SETTLE_S: Final = 1.0
_GRACE_S: Final = 3.0


class _Delivery:
    """One event on its way to one Trigger.

    Attributes:
        route: the way.
        message: the event.
        stored: its place in the store, once it has one.
        failed_or_over: done when the first attempt failed, and when nothing is left to do.
        is_over: whether the subscriber or the dead-letter sink took it.
        task: does it.
    """

    def __init__(self, route: Route, message: Message, stored: StoredEvent | None) -> None:
        self.route = route
        self.message = message
        self.stored = stored
        self.failed_or_over = asyncio.Event()
        self.is_over = False
        self.task: asyncio.Task[None]
        if stored is not None:
            route.kept += 1

    def keep(self, stored: StoredEvent) -> None:
        """Note where the event lies from now on."""
        self.stored = stored
        self.route.kept += 1


class Broker:
    """Routes, keeps and delivers events.

    Args:
        store: keeps them; opened and closed here.
        poster: sends them; closed here.
        clock: tells the time of their arrival.
        routes: the Triggers.
        url: of the ingress, as dead letters name it.
    """

    def __init__(self, store: EventStore, poster: Poster, clock: Clock, routes: Iterable[Route], url: str) -> None:
        self._store = store
        self._poster = poster
        self._clock = clock
        self._routes = {route.name: route for route in routes}
        self._url = url
        self._deliveries: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._is_open = False
        self._is_stopping = False

    @property
    def is_ready(self) -> bool:
        """Tell whether events can be taken now."""
        return self._is_open and self._store.is_connected

    @property
    def max_bytes(self) -> int:
        """Bytes that an event may have, headers included."""
        return self._store.max_payload

    async def run(self) -> None:
        """Open the store, deliver what an earlier broker had not, and whatever turns up later; until cancelled."""
        await self._store.open()
        settle_s = 0.0
        while True:
            self._store.is_in_doubt.clear()
            try:
                await self._resume(settle_s)
                self._is_open = True
            except TemporaryError as error:
                log.warning("undelivered events cannot be read yet", extra={"error": str(error)})
                self._store.is_in_doubt.set()
            settle_s = _SETTLE_S
            await asyncio.sleep(_RETRY_S)
            await self._store.is_in_doubt.wait()

    async def accept(self, message: Message, *, wait_s: float = 0.0) -> None:
        """Take an event: returns when every Trigger that wants it has it, or it is kept for those that do not.

        Args:
            message: the event.
            wait_s: what is delivered within so many seconds is never written to the store.

        Raises:
            MalformedEvent: it went round too often.
            PayloadTooLarge: the store cannot hold it.
            TemporaryError: too much waits already, or the store is full or away; the sender sends it again.
        """
        if not self.is_ready:
            raise TemporaryError("the broker's NATS server is away", retry_after_s=1)
        wanted = self._wanted_by(message)
        full = [route.name for route in wanted if route.is_full]
        if full:
            raise TemporaryError(f"too many events wait for {', '.join(full)}", retry_after_s=1)
        message = admitted(message, self._clock.now_ms())
        if wait_s > 0:
            await self._deliver_or_keep(message, wanted, wait_s)
        else:
            await self._keep_and_deliver(message, wanted)

    async def stop(self) -> None:
        """Stop delivering; what is not delivered stays in the store for the next start."""
        self._is_stopping = True
        waiting = self._deliveries - self._sending
        for task in waiting:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=_GRACE_S)
        for task in self._deliveries:
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        await self._poster.close()
        await self._store.close()

    def _wanted_by(self, message: Message) -> Sequence[Route]:
        attributes = message.attributes
        return [route for route in self._routes.values() if route.trigger.matches(attributes)]

    async def _keep_and_deliver(self, message: Message, wanted: Sequence[Route], *, fill: float = NEW_FILL) -> None:
        for route, stored in zip(wanted, await self._keep(message, wanted, fill), strict=True):
            self._begin(route, message, stored)

    async def _deliver_or_keep(self, message: Message, wanted: Sequence[Route], wait_s: float) -> None:
        # What cannot be delivered to one will have to be kept: were it refused then, the others would get it twice.
        await self._store.require_room(message, copies=sum(route.kept > 0 for route in wanted))
        deliveries = [self._begin(route, message) for route in wanted]
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    for delivery in deliveries:
                        await delivery.failed_or_over.wait()
            late = [delivery for delivery in deliveries if not delivery.is_over]
            kept = await self._keep(message, [delivery.route for delivery in late], NEW_FILL)
        except BaseException:  # the sender is told that nothing was taken, or nothing at all
            for delivery in deliveries:
                delivery.task.cancel()
            raise
        for delivery, stored in zip(late, kept, strict=True):
            if delivery.is_over:
                self._store.forget(stored)
            else:
                delivery.keep(stored)

    async def _keep(self, message: Message, wanted: Sequence[Route], fill: float) -> list[StoredEvent]:
        """Keep an event for all Triggers or for none, as far as the store answers."""
        kept = await asyncio.gather(
            *(self._store.keep(route.name, message, fill=fill) for route in wanted), return_exceptions=True
        )
        events = [each for each in kept if isinstance(each, StoredEvent)]
        errors = [each for each in kept if isinstance(each, BaseException)]
        if errors:
            for event in events:
                self._store.forget(event)
            raise errors[0]
        return events

    async def _resume(self, settle_s: float) -> None:
        count = 0
        async for event in self._store.left_over(settle_s=settle_s):
            if event.trigger in self._routes:
                count += 1
                self._begin(self._routes[event.trigger], event.message, event)
            else:
                log.warning("an event waits for a Trigger that is not here", extra={"trigger": event.trigger})
        if count:
            log.info("going on with undelivered events", extra={"count": count})

    def _begin(self, route: Route, message: Message, stored: StoredEvent | None = None) -> _Delivery:
        route.add(message)
        delivery = _Delivery(route, message, stored)
        delivery.task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._deliveries.add(delivery.task)
        delivery.task.add_done_callback(lambda task: self._ended(delivery, task))
        return delivery

    def _ended(self, delivery: _Delivery, task: asyncio.Task[None]) -> None:
        self._deliveries.discard(task)
        delivery.route.remove(delivery.message)
        if delivery.stored is not None:
            delivery.route.kept -= 1
        delivery.failed_or_over.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a delivery failed by a fault of the broker; a restart tries it again", exc_info=error)

    async def _deliver(self, delivery: _Delivery) -> None:
        """Bring one event to its end."""
        message = delivery.message
        answer, destination = await self._attempts(delivery), delivery.route.destination
        if answer.is_success and answer.reply is not None:
            answer, destination = await self._reenter(answer.reply, message), self._url
        if not answer.is_success:
            await self._give_up(delivery, answer, destination)
        delivery.is_over = True
        if delivery.stored is not None:
            self._store.forget(delivery.stored)

    async def _attempts(self, delivery: _Delivery) -> Returned:
        """Send an event until it is taken, refused for good, or out of retries; returns the last answer."""
        route = delivery.route
        delivered = delivery.message.without_header(TTL_HEADER)
        table = RetryTable(route.trigger.delivery)
        retry = 0
        while True:
            answer = await self._send(route, route.url, delivered)
            wait_s = table.wait_s(retry) if answer.is_retried else None
            if wait_s is None:
                return answer
            retry += 1
            metrics.RETRIES.labels(route.name).inc()
            await self._pause(delivery, wait_s)

    async def _pause(self, delivery: _Delivery, wait_s: float) -> None:
        """Wait before the next attempt; whoever waits for the delivery of the event learns that it takes longer."""
        delivery.failed_or_over.set()
        await asyncio.sleep(wait_s)
        if delivery.stored is not None:
            with contextlib.suppress(TemporaryError, SenderError):  # tried again after the next attempt
                delivery.stored = await self._store.renewed(delivery.stored)

    async def _send(self, route: Route, url: str, message: Message) -> Returned:
        async with route.places:
            if self._is_stopping:
                raise asyncio.CancelledError
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - deliveries are tasks
            self._sending.add(task)
            started = time.perf_counter()
            try:
                answer = await self._poster.send(url, message, timeout_s=route.trigger.delivery.timeout_s)
            finally:
                self._sending.discard(task)
        metrics.observe(route.name, answer.status, time.perf_counter() - started)
        return answer

    async def _give_up(self, delivery: _Delivery, answer: Returned, destination: str) -> None:
        """Hand a failed event to the dead-letter sink, for as long as that takes; without a sink it is dropped."""
        route, message = delivery.route, delivery.message
        kind, identity = message.attributes.get("type"), message.attributes.get("id")
        log.warning(
            "the event was given up",
            extra={"trigger": route.name, "status": answer.status, "event_type": kind, "event_id": identity},
        )
        metrics.DEAD_LETTERS.labels(route.name, answer.status).inc()
        if route.dead_letter_url is None:
            log.error("event is lost: the Trigger has no dead-letter sink", extra={"trigger": route.name})
            return
        letter = dead_letter(message, answer, destination)
        table = RetryTable(route.trigger.delivery)
        retry = 0
        while not (taken := await self._send(route, route.dead_letter_url, letter)).is_success:
            wait_s = table.growing_wait_s(retry) if taken.is_retried else _LONGEST_DEAD_LETTER_WAIT_S
            if retry >= route.trigger.delivery.retry:
                wait_s = max(wait_s, _RETRY_S)
            retry += 1
            log.error("the dead-letter sink failed", extra={"trigger": route.name, "status": taken.status})
            await self._pause(delivery, min(wait_s, _LONGEST_DEAD_LETTER_WAIT_S))

    async def _reenter(self, reply: Message, cause: Message) -> Returned:
        """Take a reply as an event of its own; it waits while the store is away.

        It is taken however much waits already: were it refused, Triggers that answer each other could block forever.
        """
        ttl = cause.value(TTL_HEADER)
        bounded = reply if ttl is None else reply.with_header(TTL_HEADER, ttl)
        while True:
            try:
                message = admitted(bounded, self._clock.now_ms())
                await self._keep_and_deliver(message, self._wanted_by(bounded), fill=1.0)
            except SenderError as error:
                return Returned(error.status, str(error).encode())
            except TemporaryError:
                await asyncio.sleep(_RETRY_S)
            else:
                return Returned(202)
