"""How an event reaches the sink, and what is told of one that cannot be reached."""

import asyncio
from collections.abc import Iterator

import pytest

from common.errors import ConfigurationError
from common.events import Event
from tests.support.nats import free_port
from tests.support.sink import HttpSink, http_sink
from triggers.nats_bridge.sink import Answer, Outcome, Sink, overrides_of

EVENT = Event(type="io.petrosa.market.trade.v1", source="/test", subject="BTCUSDT", data=b"{}")


@pytest.fixture
def server() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


def posted(url: str, *events: Event, **overrides: str) -> list[Answer]:
    async def run() -> list[Answer]:
        sink = Sink(url, timeout_s=0.5, connections=2, overrides=overrides)
        try:
            return [await sink.post(event) for event in events]
        finally:
            await sink.close()

    return asyncio.run(run())


def test_an_event_arrives_as_it_is(server: HttpSink) -> None:
    event = Event(type="t", source="/s", subject="größe 100%", data=b"\x00\xff\n", extensions={"count": "2"})
    (answer,) = posted(server.url, event, cluster="a b", count="3")
    assert answer.outcome is Outcome.TAKEN
    (arrived,) = server.taken
    assert (arrived.id, arrived.subject, arrived.data) == (event.id, "größe 100%", b"\x00\xff\n")
    assert dict(arrived.extensions) == {"cluster": "a b", "count": "3"}


def test_what_keeps_a_sink_from_answering_is_told(server: HttpSink) -> None:
    assert posted(f"http://127.0.0.1:{free_port()}/", EVENT)[0].outcome is Outcome.FAILED
    server.is_hanging = True
    assert posted(server.url, EVENT) == [Answer(Outcome.FAILED, "no answer within 0.5 s")]
    server.is_hanging = False
    server.status = 422
    (refused,) = posted(server.url, EVENT)
    assert refused == Answer(Outcome.REFUSED, "422")


def test_a_sink_that_was_restarted_is_reached_again(server: HttpSink) -> None:
    async def run() -> list[Outcome]:
        sink = Sink(server.url, timeout_s=2, connections=2, overrides={})
        outcomes = [(await sink.post(EVENT)).outcome]
        await asyncio.to_thread(server.stop)
        outcomes.append((await sink.post(EVENT)).outcome)
        await asyncio.to_thread(server.start)
        outcomes.append((await sink.post(EVENT)).outcome)
        await sink.close()
        return outcomes

    assert asyncio.run(run()) == [Outcome.TAKEN, Outcome.FAILED, Outcome.TAKEN]


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/", "/path", "http://"])
def test_an_address_that_cannot_work_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="K_SINK"):
        Sink(url, timeout_s=1, connections=1, overrides={})


def test_certificates_that_are_none_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="K_CA_CERTS"):
        Sink("https://host/", timeout_s=1, connections=1, overrides={}, authorities="nonsense")


def test_overrides_are_read() -> None:
    assert overrides_of(None) == overrides_of("") == overrides_of("{}") == {}
    assert overrides_of('{"extensions": {"a": "b", "n": 1}}') == {"a": "b", "n": "1"}
    for wrong in ("[]", "nonsense", '{"extensions": [1]}'):
        with pytest.raises(ConfigurationError, match="K_CE_OVERRIDES"):
            overrides_of(wrong)
