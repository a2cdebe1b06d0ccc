"""What becomes of a batch by the sink's answers: settled, tried again, halved, given back. On a real event loop."""

import asyncio
from collections.abc import Awaitable, Callable

from common.events.sink import SinkAnswer
from common.events.statuses import Outcome
from common.models.dead_letters import Reason, dead_letter
from common.settings import load_settings
from tests.support.patience import PATIENCE_S
from triggers.nats_bridge.batch import Batch, RejectedBatch
from triggers.nats_bridge.limits import PROBE_MESSAGES, Limits, limits_of
from triggers.nats_bridge.outbox import Outbox

TAKEN = SinkAnswer(Outcome.TAKEN, "202")
REFUSED = SinkAnswer(Outcome.REFUSED, "422 no")
FAILED = SinkAnswer(Outcome.FAILED, "503")


class World:
    """An outbox with everything around it written down."""

    def __init__(self, post: Callable[[Batch], Awaitable[SinkAnswer]], limits: Limits | None = None) -> None:
        self.answers: list[str] = []
        self.refused: list[tuple[list[bytes], str]] = []
        self.posted: list[list[bytes]] = []
        self.is_keeping = True
        self._post = post
        self.outbox = Outbox(
            limits or limits_of(load_settings(bridge_batches_in_flight=2)),
            post=self.post,
            keep=self.keep,
            answer=self.answer,
            refused=lambda batch, answer: self.refused.append((batch.payloads, answer)),
            settled=self.settled,
            jitter=lambda: 0.0,
        )

    async def post(self, batch: Batch) -> SinkAnswer:
        self.posted.append(batch.payloads)
        return await self._post(batch)

    async def keep(self, _batch: RejectedBatch) -> bool:
        return self.is_keeping

    async def answer(self, commands: bytes) -> None:
        lines = commands.decode().split("\r\n")
        for line, body in zip(lines[::2], lines[1::2], strict=False):
            self.answers.append(f"{line.split('.')[5]} {body or '+ACK'}")

    async def settled(self) -> None:
        pass

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - the outbox tells nobody
                await asyncio.sleep(0.005)


def batch_of(*numbers: int) -> Batch:
    return _filled(Batch("trade", asyncio.get_running_loop().time()), numbers)


def rejected_of(*numbers: int) -> RejectedBatch:
    batch = RejectedBatch(asyncio.get_running_loop().time())
    batch.letters = [
        dead_letter(b"?", time_ms=1, kind="unknown", reason=Reason.NOT_JSON, detail="", origin="bridge")
        for _ in numbers
    ]
    _filled(batch, numbers)
    return batch


def _filled(batch: Batch, numbers: tuple[int, ...]) -> Batch:
    batch.payloads = [b"%d" % number for number in numbers]
    batch.replies = [f"$JS.ACK.MARKET.bridge.1.{number}.{number}.1.0" for number in numbers]
    batch.symbols = {"BTCUSDT"}
    batch.seal()
    return batch


async def always(answer: SinkAnswer) -> SinkAnswer:
    await asyncio.sleep(0)
    return answer


def test_a_batch_is_acknowledged_when_the_sink_took_it_and_not_before() -> None:
    async def run() -> None:
        taken = asyncio.Event()

        async def post(_batch: Batch) -> SinkAnswer:
            await taken.wait()
            return TAKEN

        world = World(post)
        world.outbox.put(batch_of(1, 2))
        await world.until(lambda: len(world.posted) == 1)
        assert world.answers == []
        taken.set()
        await world.until(lambda: world.outbox.held == [])
        assert world.answers == ["1 +ACK", "2 +ACK"]

    asyncio.run(run())


def test_no_more_than_allowed_are_out_and_the_oldest_goes_first() -> None:
    async def run() -> None:
        gates: list[asyncio.Event] = []

        async def post(_batch: Batch) -> SinkAnswer:
            gates.append(asyncio.Event())
            await gates[-1].wait()
            return TAKEN

        world = World(post)
        batches = [batch_of(number) for number in range(5)]
        for batch in reversed(batches[2:]):
            world.outbox.put(batch)
        for batch in batches[:2]:
            world.outbox.put(batch)
        await world.until(lambda: len(gates) == 2)
        await asyncio.sleep(0.02)
        assert world.outbox.in_flight == 2
        for gate in gates[:2]:
            gate.set()
        await world.until(lambda: len(gates) == 4)
        gates[2].set()
        await world.until(lambda: len(gates) == 5)
        assert world.posted[2:] == [[b"0"], [b"1"], [b"2"]]
        for gate in gates:
            gate.set()
        await world.until(lambda: not world.outbox.held)

    asyncio.run(run())


def test_after_a_failure_one_probe_goes_until_the_sink_is_back() -> None:
    async def run() -> None:
        answers = [FAILED, FAILED, FAILED]

        async def post(_batch: Batch) -> SinkAnswer:
            return await always(answers.pop() if answers else TAKEN)

        world = World(post)
        for number in range(6):
            world.outbox.put(batch_of(number))
        await world.until(lambda: len(world.posted) == 2)
        assert world.outbox.allowance() == 0
        await world.until(lambda: not world.outbox.held)
        assert world.outbox.allowance() is None
        assert world.posted[2] == [b"2"], "the probe is one that was not tried yet"
        assert sorted(world.answers) == [f"{number} +ACK" for number in range(6)]
        assert len(world.posted) == 6 + 3

    asyncio.run(run())


def test_refused_messages_are_found_by_halving() -> None:
    async def run() -> None:
        async def post(batch: Batch) -> SinkAnswer:
            return await always(REFUSED if {b"3", b"4"} & set(batch.payloads) else TAKEN)

        world = World(post)
        world.outbox.put(batch_of(*range(16)))
        await world.until(lambda: not world.outbox.held)
        assert sorted(world.refused) == [([b"3"], "422 no"), ([b"4"], "422 no")]
        settled = {int(answer.split(" ")[0]) for answer in world.answers}
        assert settled == set(range(16)) - {3, 4}

    asyncio.run(run())


def test_a_dead_letter_is_settled_when_it_is_kept_and_sent() -> None:
    async def run() -> None:
        world = World(lambda _batch: always(TAKEN))
        world.is_keeping = False
        world.outbox.put(rejected_of(1))
        world.outbox.put(batch_of(2))
        await world.until(lambda: world.answers == ["2 +ACK"])
        assert world.posted == [[b"2"]], "it is not sent before it is kept, and keeps nobody else waiting"
        world.is_keeping = True
        await world.until(lambda: not world.outbox.held)
        assert world.answers == ["2 +ACK", "1 +TERM"]

    asyncio.run(run())


def test_the_server_is_told_that_work_goes_on_and_gets_back_what_is_kept_too_long() -> None:
    async def run() -> None:
        limits = limits_of(load_settings(bridge_batches_in_flight=2, nats_ack_wait_seconds=1))
        world = World(lambda _batch: always(FAILED), limits)
        for number in range(3):
            batch = batch_of(number)
            batch.opened_s -= limits.hold_s
            batch.signalled_s -= limits.progress_s
            world.outbox.put(batch)
        await world.until(lambda: not world.outbox.gate.is_open)
        await world.outbox.tick()
        assert sorted(world.answers) == ["0 +WPI", "1 +WPI", "2 +WPI"]
        world.answers.clear()
        await world.outbox.tick()
        assert world.answers == [], "told a moment ago"
        world.outbox.gate.shut_since_s = 0.0
        for batch in world.outbox.held:
            batch.failed_s = batch.opened_s = 0.0
        assert world.outbox.allowance() == 0
        await world.outbox.tick()
        assert all(answer.endswith('-NAK {"delay": 1000000000}') for answer in world.answers)
        assert len(world.answers) == 2, "one stays as the probe"
        assert world.outbox.allowance() == PROBE_MESSAGES
        await world.outbox.drain(1.0)

    asyncio.run(run())


def test_a_drain_finishes_what_is_out_and_gives_back_the_rest_at_once() -> None:
    async def run() -> None:
        async def post(batch: Batch) -> SinkAnswer:
            await asyncio.sleep(0.05 if batch.payloads == [b"0"] else 30)
            return TAKEN

        world = World(post)
        for number in range(4):
            world.outbox.put(batch_of(number))
        await world.until(lambda: len(world.posted) == 2)
        await world.outbox.drain(0.2)
        assert sorted(world.answers) == ["0 +ACK", "1 -NAK", "2 -NAK", "3 -NAK"]
        assert world.outbox.held == []

    asyncio.run(run())


def test_a_batch_lost_to_a_bug_does_not_stop_the_others() -> None:
    async def run() -> None:
        async def post(batch: Batch) -> SinkAnswer:
            if batch.payloads == [b"0"]:
                raise LookupError("a bug")
            return await always(TAKEN)

        world = World(post)
        for number in range(3):
            world.outbox.put(batch_of(number))
        await world.until(lambda: not world.outbox.held)
        assert world.answers == ["1 +ACK", "2 +ACK"]

    asyncio.run(run())
