"""How the bridge keeps account of what it asked the server for, and takes messages off the connection."""

import asyncio
import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from common.settings import Settings
from triggers.nats_bridge.connection import Connection
from triggers.nats_bridge.direct import DirectParser
from triggers.nats_bridge.limits import PULL_MESSAGES, PULL_REQUESTS, limits_of
from triggers.nats_bridge.pulling import Ledger, Puller, request_body

_FULL = PULL_REQUESTS * PULL_MESSAGES


def test_one_more_request_is_wanted_when_one_is_used_up() -> None:
    ledger = Ledger()
    wants = []
    for outstanding in (0, _FULL - PULL_MESSAGES, _FULL - PULL_MESSAGES + 1, _FULL):
        ledger.outstanding = outstanding
        wants.append(ledger.wants_more)
    assert wants == [True, True, False, False]


def test_what_will_not_come_is_credited_and_never_below_nothing() -> None:
    ledger = Ledger()
    ledger.asked(500)
    ledger.called_off(120)
    assert ledger.outstanding == 380
    ledger.called_off(1000)
    assert ledger.outstanding == 0
    ledger.asked(500)
    ledger.forget()
    assert ledger.outstanding == 0


@given(st.lists(st.tuples(st.integers(1, PULL_MESSAGES), st.floats(0, 1)), max_size=40))
def test_requests_that_ended_leave_nothing_behind(requests: list[tuple[int, float]]) -> None:
    ledger = Ledger()
    for count, _ in requests:
        ledger.asked(count)
    for count, share in requests:
        came = int(count * share)
        ledger.outstanding -= came
        ledger.called_off(count - came)
    assert ledger.outstanding == 0


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

    def __init__(self, room: Callable[[int], int] = lambda outstanding: 10_000 - outstanding) -> None:
        settings = Settings()
        self.client = _Client()
        connection = Connection(settings)
        connection._client = self.client
        self.taken: list[tuple[bytes, str]] = []
        self.puller = Puller(
            connection,
            settings,
            limits_of(settings),
            room=room,
            take=lambda raw, reply: self.taken.append((raw, reply)),
        )
        self.puller.is_active = True

    @property
    def asked(self) -> list[int]:
        return [request["batch"] for request in self.client.requests]

    async def receive(self, data: bytes = b"", reply: str = "", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.puller._on_message(Msg(self.client, "inbox.1", reply, data, named or None))


def test_two_full_requests_are_kept_open() -> None:
    async def run() -> None:
        bench = _Bench()
        await bench.puller.pull()
        await bench.puller.pull()
        assert bench.asked == [PULL_MESSAGES] * PULL_REQUESTS
        for number in range(PULL_MESSAGES):
            await bench.receive(b"%d" % number, f"reply.{number}")
        assert bench.asked == [PULL_MESSAGES] * (PULL_REQUESTS + 1)
        assert len(bench.taken) == PULL_MESSAGES
        assert bench.taken[7] == (b"7", "reply.7")

    asyncio.run(run())


@pytest.mark.parametrize(("room", "asked"), [(0, []), (-5, []), (3, [3]), (700, [500, 200])])
def test_no_more_is_asked_for_than_there_is_room_for(room: int, asked: list[int]) -> None:
    async def run() -> None:
        bench = _Bench(lambda outstanding: room - outstanding)
        await bench.puller.pull()
        assert bench.asked == asked

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "description"),
    [("408", "Request Timeout"), ("404", "No Messages"), ("409", "Batch Completed"), ("409", "Exceeded MaxWaiting")],
)
def test_a_request_that_ends_is_replaced(status: str, description: str) -> None:
    async def run() -> None:
        bench = _Bench()
        await bench.puller.pull()
        await bench.receive(
            Status=status, Description=description, Nats_Pending_Messages=str(PULL_MESSAGES), Nats_Pending_Bytes="5"
        )
        assert bench.asked == [PULL_MESSAGES] * (PULL_REQUESTS + 1)
        assert bench.puller.outstanding == _FULL
        assert bench.taken == []
        assert bench.puller.fault is None

    asyncio.run(run())


def test_a_heartbeat_changes_nothing() -> None:
    async def run() -> None:
        bench = _Bench()
        await bench.puller.pull()
        await bench.receive(Status="100", Description="Idle Heartbeat")
        assert bench.puller.outstanding == _FULL
        assert bench.puller.fault is None

    asyncio.run(run())


def test_a_message_above_the_bytes_of_a_request_is_fetched_alone() -> None:
    async def run() -> None:
        bench = _Bench()
        await bench.puller.pull()
        for _ in range(PULL_REQUESTS):
            await bench.receive(
                Status="409", Description="Message Size Exceeds MaxBytes", Nats_Pending_Messages=str(PULL_MESSAGES)
            )
        alone = [request for request in bench.client.requests if "max_bytes" not in request]
        assert [request["batch"] for request in alone] == [1] * len(alone)
        assert alone

    asyncio.run(run())


def test_a_status_that_tells_no_number_begins_anew() -> None:
    async def run() -> None:
        bench = _Bench()
        await bench.puller.pull()
        await bench.receive(Status="409", Description="Consumer Deleted")
        assert bench.puller.fault == "409 Consumer Deleted"

    asyncio.run(run())


def _frame(sid: int, payload: bytes, reply: str, header: bytes | None) -> bytes:
    names = f"inbox.1 {sid} {reply}".strip().encode()
    if header is None:
        return b"MSG %s %d\r\n%s\r\n" % (names, len(payload), payload)
    return b"HMSG %s %d %d\r\n%s%s\r\n" % (names, len(header), len(header) + len(payload), header, payload)


class _Recorder(Client):
    """A client that remembers what its own parser hands it."""

    def __init__(self) -> None:
        super().__init__()
        self.usual: list[tuple[int, bytes]] = []

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        self.usual.append((sid, data))

    async def _process_pong(self) -> None:
        self.usual.append((0, b"PONG"))


_PAYLOADS = st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n", b"MSG a 1 r 3\r\nabc\r\n", b"PING\r\n"]))
_FRAMES = st.one_of(
    st.tuples(st.just(1), _PAYLOADS, st.just("r.1"), st.sampled_from([None, b"NATS/1.0\r\nA: b\r\n\r\n"])),
    st.tuples(st.just(1), st.just(b""), st.just(""), st.just(b"NATS/1.0 408 Request Timeout\r\n\r\n")),
    st.tuples(st.just(2), _PAYLOADS, st.sampled_from(["", "r.2"]), st.sampled_from([None, b"NATS/1.0\r\n\r\n"])),
    st.just(None),
)


@given(frames=st.lists(_FRAMES, max_size=15), cuts=st.lists(st.integers(0, 900), max_size=15))
def test_frames_are_read_alike_however_the_stream_is_cut(
    frames: list[tuple[int, bytes, str, bytes | None] | None], cuts: list[int]
) -> None:
    stream = b"".join(b"PONG\r\n" if frame is None else _frame(*frame) for frame in frames)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    async def run() -> None:
        client = _Recorder()
        parser = DirectParser(client)
        taken: list[bytes] = []
        subscription = Subscription(client, id=1, subject="inbox.*")
        parser.divert(subscription, lambda raw, _reply: taken.append(raw), lambda: None)
        for start, stop in itertools.pairwise(edges):
            await parser.parse(stream[start:stop])
        assert taken == [frame[1] for frame in frames if frame and frame[0] == 1 and frame[2]]
        assert client.usual == [
            (0, b"PONG") if frame is None else frame[:2]
            for frame in frames
            if frame is None or frame[0] == 2 or not frame[2]
        ]

    asyncio.run(run())
