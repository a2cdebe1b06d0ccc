"""PingSources of one machine: the events they send, and that what nobody takes is lost."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import pytest

from common.clock import Clock, ShiftedClock, SystemClock
from infra.local.broker.pinger import Pinger
from infra.local.broker.plan import BrokerPlan
from infra.local.manifests.model import PingSource
from infra.local.manifests.schedule import Schedule
from tests.support.nats import free_port
from tests.support.patience import PATIENCE_S
from tests.support.subscriber import Received, Reply, Subscribers, subscribers

PATH = "petrosa-apps/default"


class AtOnce(Random):
    """Draws no jitter."""

    def uniform(self, a: float, b: float) -> float:
        return a


def source(expression: str = "* * * * * *", data: bytes = b"", content_type: str | None = None) -> PingSource:
    return PingSource(
        name="audit",
        namespace="petrosa-apps",
        schedule=Schedule.parse(expression, "UTC"),
        content_type=content_type,
        data=data,
        extensions={"schedule": "audit"},
    )


def run(
    one: PingSource,
    port: int,
    until: Callable[[], bool],
    *,
    first: tuple[str, ...] = (),
    clock: Clock | None = None,
) -> None:
    """Run the pinger until a condition holds, and a little longer: what comes too often shall be seen."""
    plan = BrokerPlan("petrosa-apps", "default", port, ".", {}, first_ticks=first)

    async def fire() -> None:
        running = asyncio.create_task(Pinger([one], plan, clock or SystemClock(), AtOnce()).run())
        async with asyncio.timeout(PATIENCE_S):
            while not until():  # noqa: ASYNC110 - it waits for another thread
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(fire())


def ticks(server: Subscribers) -> list[Received]:
    return server.received(PATH)


def test_a_schedule_of_every_second_fires_every_second_with_a_new_id() -> None:
    with subscribers() as server:
        run(source(), server.port, lambda: len(ticks(server)) >= 3)
        times = [datetime.fromisoformat(tick.headers["ce-time"]) for tick in ticks(server)]
        assert len({tick.attribute("id") for tick in ticks(server)}) == len(times)
        assert (times[-1] - times[0]).total_seconds() > len(times) - 2, "no more than one a second"


def test_an_event_says_where_it_comes_from_and_carries_its_extensions_and_data() -> None:
    with subscribers() as server:
        one = source("0 0 1 1 *", b'{"window":"1h"}', "application/json")
        run(one, server.port, lambda: bool(ticks(server)), first=("audit",))
        (tick,) = ticks(server)
    assert tick.attribute("type") == "dev.knative.sources.ping"
    assert tick.attribute("source") == "/apis/v1/namespaces/petrosa-apps/pingsources/audit"
    assert tick.attribute("schedule") == "audit"
    assert tick.headers["content-type"] == "application/json"
    assert tick.body == b'{"window":"1h"}'


def test_without_data_the_event_has_no_content_type() -> None:
    with subscribers() as server:
        run(source("0 0 1 1 *"), server.port, lambda: bool(ticks(server)), first=("audit",))
        (tick,) = ticks(server)
    assert "content-type" not in tick.headers
    assert tick.body == b""


def test_the_schedule_follows_the_clock_of_the_process() -> None:
    new_year_ms = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    clock = ShiftedClock(new_year_ms - 300, SystemClock().now_ms())
    with subscribers() as server:
        run(source("0 0 1 1 *"), server.port, lambda: bool(ticks(server)), clock=clock)
        (tick,) = ticks(server)
    assert tick.headers["ce-time"].startswith("2026-01-01T00:00:00.")


def test_a_refused_event_is_sent_again_with_the_same_id() -> None:
    with subscribers() as server:
        server.answer(PATH, Reply(503), Reply(503), Reply(202))
        run(source("0 0 1 1 *"), server.port, lambda: len(ticks(server)) >= 3, first=("audit",))
        sent = ticks(server)
    assert len(sent) == 3
    assert len({tick.attribute("id") for tick in sent}) == 1
    assert sent[1].at_s - sent[0].at_s >= 0.05
    assert sent[2].at_s - sent[1].at_s >= 0.1


def test_what_the_broker_does_not_take_in_time_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        run(source("0 0 1 1 *"), free_port(), lambda: bool(caplog.records), first=("audit",))
    assert [record.message for record in caplog.records] == ["event is lost"]
