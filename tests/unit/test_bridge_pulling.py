"""What the bridge asks the server for, and what it makes of requests that end."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from common.clock import clock_from
from common.events.sink import Sink
from common.settings import Settings
from tests.support.messages import message
from triggers.nats_bridge.connection import Connection
from triggers.nats_bridge.limits import PULL_MESSAGES, PULL_REQUESTS, limits_of
from triggers.nats_bridge.pipeline import Pipeline
from triggers.nats_bridge.pulling import Puller, request_body
from triggers.nats_bridge.rejection import DeadLetterStream

_FULL = PULL_REQUESTS * PULL_MESSAGES
_REPLY = "$JS.ACK.PETROSA_MARKET.petrosa-data-manager.1.1.1.1760963760000000000.0"


def test_a_request_asks_for_heartbeats_and_ends_by_itself() -> None:
    body = json.loads(request_body(300, 1_000_000))
    assert (body["batch"], body["max_bytes"]) == (300, 1_000_000)
    assert 0 < 2 * body["idle_heartbeat"] <= body["expires"], "the server refuses a rarer heartbeat"
    assert "max_bytes" not in json.loads(request_body(1, None))


class _Client(Client):
    """A client that remembers what is published, and has no server."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[dict[str, int]] = []

    @property
    def is_connected(self) -> bool:
        return True

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        assert subject == "$JS.API.CONSUMER.MSG.NEXT.PETROSA_MARKET.petrosa-data-manager"
        assert reply.endswith(".1")
        self.requests.append(json.loads(payload))


class _Bench:
    """A puller in the middle of its work. Make it inside a running event loop."""

    def __init__(self) -> None:
        settings = Settings()
        self.client = _Client()
        connection = Connection(settings)
        connection._client = self.client
        limits = limits_of(settings)
        dead_letters = DeadLetterStream(connection, settings)
        self.pipeline = Pipeline(limits, connection, Sink(None), dead_letters, clock_from(None))
        self.puller = Puller(connection, settings, limits, self.pipeline)
        self.puller.is_active = True

    @property
    def asked(self) -> list[int]:
        return [request["batch"] for request in self.client.requests]

    async def receive(self, data: bytes = b"", reply: str = "", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.puller._on_message(Msg(self.client, "inbox.1", reply, data, named or None))
        await self.puller._pull()


def with_two_requests(test: Callable[[_Bench], Awaitable[None]]) -> None:
    """Run a test on a puller that has just begun."""

    async def run() -> None:
        bench = _Bench()
        await bench.puller._pull()
        await bench.puller._pull()
        assert bench.asked == [PULL_MESSAGES] * PULL_REQUESTS
        await test(bench)

    asyncio.run(run())


def test_one_more_request_goes_out_when_one_is_used_up() -> None:
    async def test(bench: _Bench) -> None:
        for _ in range(PULL_MESSAGES):
            await bench.receive(message("trade"), _REPLY)
        assert bench.asked == [PULL_MESSAGES] * (PULL_REQUESTS + 1)
        assert bench.pipeline.held_messages == PULL_MESSAGES

    with_two_requests(test)


@pytest.mark.parametrize(
    ("status", "description"),
    [("408", "Request Timeout"), ("404", "No Messages"), ("409", "Batch Completed"), ("409", "Exceeded MaxWaiting")],
)
def test_a_request_that_ends_is_replaced(status: str, description: str) -> None:
    async def test(bench: _Bench) -> None:
        await bench.receive(Status=status, Description=description, Nats_Pending_Messages=str(PULL_MESSAGES))
        assert bench.asked == [PULL_MESSAGES] * (PULL_REQUESTS + 1)
        assert bench.puller.outstanding == _FULL
        assert bench.puller.fault is None

    with_two_requests(test)


def test_a_heartbeat_changes_nothing() -> None:
    async def test(bench: _Bench) -> None:
        await bench.receive(Status="100", Description="Idle Heartbeat")
        assert (len(bench.asked), bench.puller.outstanding, bench.puller.fault) == (PULL_REQUESTS, _FULL, None)

    with_two_requests(test)


def test_a_message_above_the_bytes_of_a_request_is_fetched_alone() -> None:
    async def test(bench: _Bench) -> None:
        await bench.receive(
            Status="409", Description="Message Size Exceeds MaxBytes", Nats_Pending_Messages=str(PULL_MESSAGES)
        )
        alone = bench.client.requests[PULL_REQUESTS]
        assert alone["batch"] == 1
        assert "max_bytes" not in alone

    with_two_requests(test)


def test_a_status_that_tells_no_number_begins_anew() -> None:
    async def test(bench: _Bench) -> None:
        await bench.receive(Status="409", Description="Consumer Deleted")
        assert bench.puller.fault == "409 Consumer Deleted"

    with_two_requests(test)
