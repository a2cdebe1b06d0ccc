"""What the bridge uses of the client library beyond its public ways: it is there, works, and can be done without."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from common.clock import clock_from
from common.events.sink import sink_of
from common.settings import load_settings
from tests.support.bridge import publish, wait_settled
from tests.support.messages import message
from tests.support.nats import NatsServer, nats_server
from tests.support.patience import PATIENCE_S
from tests.support.sink import HttpSink, http_sink
from triggers.nats_bridge import nats_wire
from triggers.nats_bridge.bridge import Bridge

PARTS = ("WRITING", "READING", "PARSER", "SUBSCRIPTION")


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


def test_the_pinned_version_has_every_part() -> None:
    async def run() -> None:
        client = Client()
        for owner, names in (
            (client, (*nats_wire.WRITING, *nats_wire.READING)),
            (client._ps, nats_wire.PARSER),
            (Subscription(client, id=1), nats_wire.SUBSCRIPTION),
        ):
            assert [name for name in names if not hasattr(owner, name)] == []

    asyncio.run(run())


@pytest.mark.parametrize("hidden", [(), *((part,) for part in PARTS), PARTS], ids=" ".join)
def test_messages_arrive_and_are_acknowledged_with_and_without_the_short_ways(
    server: NatsServer, sink: HttpSink, monkeypatch: pytest.MonkeyPatch, hidden: tuple[str, ...]
) -> None:
    for part in hidden:
        monkeypatch.setattr(nats_wire, part, ("gone in this version",))
    writes: list[bytes] = []
    original = Client._send_command

    async def counted(client: Client, command: bytes, *rest: bool) -> None:
        writes.append(command)
        await original(client, command, *rest)

    monkeypatch.setattr(Client, "_send_command", counted)
    messages = [message("trade", t=number) for number in range(3000)]

    async def run() -> None:
        settings = load_settings(nats_url=server.url, k_sink=sink.url)
        stop = asyncio.Event()
        bridge = Bridge(settings, sink_of(settings), clock_from(None))
        running = asyncio.create_task(bridge.run(stop))
        async with asyncio.timeout(PATIENCE_S):
            while not bridge.status()["ready"]:  # noqa: ASYNC110 - the bridge tells nobody
                await asyncio.sleep(0.01)
            await asyncio.to_thread(publish, server, messages)
            await asyncio.to_thread(sink.wait_for, lambda: len(sink.lines()) >= len(messages))
            await asyncio.to_thread(wait_settled, server)
        stop.set()
        await running

    asyncio.run(run())
    assert sorted(sink.lines()) == sorted(messages)
    answers = [command for command in writes if command.startswith(b"PUB $JS.ACK")]
    assert (len(answers) == len(messages)) == ("WRITING" in hidden)


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
        parser = nats_wire.install(client)
        assert parser is not None
        taken: list[bytes] = []
        counts: list[int] = []
        subscription = Subscription(client, id=1, subject="inbox.*")
        parser.divert(subscription, lambda raw, _reply: taken.append(raw), counts.append)
        for start, stop in itertools.pairwise(edges):
            await parser.parse(stream[start:stop])
        assert taken == [frame[1] for frame in frames if frame and frame[0] == 1 and frame[2]]
        assert sum(counts) == len(taken)
        assert client.usual == [
            (0, b"PONG") if frame is None else frame[:2]
            for frame in frames
            if frame is None or frame[0] == 2 or not frame[2]
        ]

    asyncio.run(run())
