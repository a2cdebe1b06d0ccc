"""Asks the server for messages: two requests are kept open on one inbox, and their messages go into the pipeline.

Requests are answered with messages, and with status messages that end a request early and tell how many of its
messages will not come (``Nats-Pending-Messages``). A message does not tell which request it answers: only the sum over
all requests is known, and only the sum is needed.
"""

import asyncio
import contextlib
import json
import logging
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from common.errors import ConfigurationError, TemporaryError
from common.settings import Settings
from triggers.nats_bridge.backoff import SERVER
from triggers.nats_bridge.connection import Connection
from triggers.nats_bridge.limits import PULL_MESSAGES, PULL_REQUESTS, Limits
from triggers.nats_bridge.pipeline import Pipeline
from triggers.nats_bridge.provisioning import provision

log = logging.getLogger(__name__)

_EXPIRES_S: Final = 10.0
_HEARTBEAT_S: Final = 1.5
# Nothing at all for so long although requests are open: they are gone, or the server is.
_SILENCE_S: Final = 2.5 * _HEARTBEAT_S
_CHECK_S: Final = 0.5
# Beyond it no request lives on. One that ended exactly at its limit of bytes ended without a word.
_FORGET_S: Final = _EXPIRES_S + 2.0
# A request can bring one message of the server's largest size, with its subjects and headers.
_OVERHEAD_BYTES: Final = 64 * 1024
_ATTEMPTS_BEFORE_RECONNECT: Final = 2
_API_TIMEOUT_S: Final = 3.0
_DRAIN_S: Final = 1.0
_NANOSECONDS: Final = 1_000_000_000

_STATUS: Final = "Status"
_PENDING: Final = "Nats-Pending-Messages"
_HEARTBEAT: Final = "100"
_TOO_LARGE: Final = "Message Size Exceeds MaxBytes"

_SERVER_ERRORS: Final = (nats.errors.Error, TemporaryError, TimeoutError, OSError)


def request_body(count: int, max_bytes: int | None) -> bytes:
    """Return the body of a pull request for ``count`` messages of ``max_bytes`` together."""
    body = {
        "batch": count,
        "expires": int(_EXPIRES_S * _NANOSECONDS),
        "idle_heartbeat": int(_HEARTBEAT_S * _NANOSECONDS),
    }
    if max_bytes is not None:
        body["max_bytes"] = max_bytes
    return json.dumps(body).encode()


class Puller:
    """Keeps messages coming into the pipeline as long as it has room.

    Attributes:
        is_active: whether messages come.
        outstanding: messages that were asked for and have neither come nor been called off.
        fault: why the last requests ended, or cannot begin.
    """

    def __init__(self, connection: Connection, settings: Settings, limits: Limits, pipeline: Pipeline) -> None:
        self._connection = connection
        self._settings = settings
        self._limits = limits
        self._pipeline = pipeline
        self._wake = pipeline.freed
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{settings.nats_stream}.{settings.nats_consumer}"
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._is_broken = False
        self._generation = 0
        self._heard_s = 0.0
        self._asked_s = 0.0
        self._max_bytes = 0
        self._wants_single = False
        self.is_active = False
        self.outstanding = 0
        self.fault: str | None = None

    async def run(self) -> None:
        """Pull for ever; after every break make sure of streams and consumer, and begin anew."""
        failures = 0
        while True:
            await self._connection.client()
            try:
                await self._begin()
            except (*_SERVER_ERRORS, ConfigurationError) as error:
                failures += 1
                await self._note_failure(error, failures)
                continue
            failures = 0
            await self._pull_until_broken()
            await self._end()
            await asyncio.sleep(SERVER.first_s)

    async def stop(self) -> None:
        """Stop pulling; returns when every message that was on its way has been taken."""
        self.is_active = False
        subscription, self._subscription = self._subscription, None
        if subscription is None or not self._connection.is_connected:
            return
        try:
            async with asyncio.timeout(_DRAIN_S):
                await subscription.drain()  # type: ignore[no-untyped-call]
        except _SERVER_ERRORS as error:
            log.warning("the subscription was not drained", extra={"error": repr(error)})

    async def _begin(self) -> None:
        client = self._connection.connected_client()
        self._generation = self._connection.generation
        async with asyncio.timeout(2 * _API_TIMEOUT_S):
            await provision(client.jetstream(timeout=_API_TIMEOUT_S), self._settings, self._limits)
        self._max_bytes = client.max_payload + _OVERHEAD_BYTES
        self._inbox = client.new_inbox()
        self._subscription = await client.subscribe(
            f"{self._inbox}.*",
            cb=self._on_message,
            pending_msgs_limit=8 * PULL_REQUESTS * PULL_MESSAGES,
            pending_bytes_limit=0,  # bounded by the requests
        )
        if self._connection.parser is not None:
            self._connection.parser.divert(self._subscription, self._pipeline.take, self._on_taken)
        self.outstanding = 0
        self._is_broken = False
        self._wants_single = False
        self._heard_s = asyncio.get_running_loop().time()
        self.is_active = True
        self.fault = None
        log.info("pulling", extra={"stream": self._settings.nats_stream, "consumer": self._settings.nats_consumer})

    async def _pull_until_broken(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_broken and self._connection.generation == self._generation:
            self._wake.clear()
            await self._pull()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_S):
                    await self._wake.wait()
            if not self.outstanding:
                self._heard_s = loop.time()
            elif loop.time() - self._heard_s > _SILENCE_S:
                self._break("the server is silent")
            if loop.time() - self._asked_s > _FORGET_S:
                self.outstanding = 0

    async def _pull(self) -> None:
        """Ask for messages, if some are wanted and there is room."""
        while self.is_active and self._wants_more:
            count = min(PULL_MESSAGES, self._pipeline.room(self.outstanding))
            if count <= 0:
                return
            try:
                await self._ask(count)
            except _SERVER_ERRORS as error:
                self._break(repr(error))
                return

    @property
    def _wants_more(self) -> bool:
        """Whether one more request keeps the server busy."""
        return self.outstanding <= (PULL_REQUESTS - 1) * PULL_MESSAGES

    async def _end(self) -> None:
        self.is_active = False
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        try:
            await subscription.unsubscribe()
        except _SERVER_ERRORS as error:
            log.debug("the inbox was gone", extra={"error": repr(error)})

    async def _note_failure(self, error: Exception, failures: int) -> None:
        text = str(error) or repr(error)
        if text != self.fault:
            log.error("cannot pull", extra={"error": text})
        self.fault = text
        if failures % _ATTEMPTS_BEFORE_RECONNECT == 0 and isinstance(error, TimeoutError):
            await self._connection.renew()
        await asyncio.sleep(SERVER.delay_s(failures))

    def _break(self, why: str) -> None:
        if not self._is_broken:
            log.warning("pulling anew", extra={"reason": why})
        self.fault = why
        self._is_broken = True
        self._wake.set()

    async def _ask(self, count: int) -> None:
        single, self._wants_single = self._wants_single, False
        if single:
            count = 1
        body = request_body(count, None if single else self._max_bytes)
        self.outstanding += count
        self._asked_s = asyncio.get_running_loop().time()
        await self._connection.connected_client().publish(self._next, body, reply=f"{self._inbox}.1")

    def _on_taken(self, count: int) -> None:
        """Note that messages have come."""
        self.outstanding -= count
        self._heard_s = asyncio.get_running_loop().time()
        if self._wants_more:
            self._wake.set()

    async def _on_message(self, message: Msg) -> None:
        if message.reply:
            self._pipeline.take(message.data, message.reply)
            self._on_taken(1)
        else:
            self._on_status(message.headers or {})

    def _on_status(self, headers: dict[str, str]) -> None:
        """Credit what a request that ended did not bring; one that tells no number ends them all."""
        self._heard_s = asyncio.get_running_loop().time()
        if headers.get(_STATUS) == _HEARTBEAT:
            return
        description = headers.get("Description", "")
        pending = headers.get(_PENDING, "")
        if not pending.isdigit():
            self._break(f"{headers.get(_STATUS)} {description}")
            return
        self.outstanding = max(0, self.outstanding - int(pending))
        self._wants_single = self._wants_single or description == _TOO_LARGE
        self._wake.set()
