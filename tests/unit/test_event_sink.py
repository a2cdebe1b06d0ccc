"""The one sink, over a real server: how events reach it, what its answers mean, and what is wrong with a setting."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from common.errors import ConfigurationError, SinkUnavailable
from common.events import Event
from common.events.sink import Sink, SinkAnswer, overrides_of, sink_of
from common.events.statuses import Outcome, is_retried, outcome_of
from common.settings import Settings
from common.telemetry.tracing import traced
from tests.support.nats import free_port
from tests.support.sink import HttpSink, http_sink

T = TypeVar("T")
EVENT = Event(type="io.petrosa.market.trade.v1", source="/test", subject="BTCUSDT", data=b"{}")


@pytest.fixture
def server() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


def with_sink(sink: Sink, use: Callable[[Sink], Awaitable[T]]) -> T:
    async def run() -> T:
        try:
            return await use(sink)
        finally:
            await sink.close()

    return asyncio.run(run())


def posted(sink: Sink, *events: Event) -> list[SinkAnswer]:
    async def use(sink: Sink) -> list[SinkAnswer]:
        return [await sink.post(event) for event in events]

    return with_sink(sink, use)


def emitted(url: str | None, *events: Event) -> None:
    with_sink(Sink(url), lambda sink: sink.emit_all(events))


@pytest.mark.parametrize(("timeout_s", "wait_s", "wish"), [(30, 1, "wait=1"), (1.5, 1, None), (5, 4, "wait=2")])
def test_a_sink_is_not_asked_to_wait_until_its_answer_comes_too_late(
    server: HttpSink, timeout_s: float, wait_s: int, wish: str | None
) -> None:
    posted(Sink(server.url, timeout_s=timeout_s, delivery_wait_s=wait_s), EVENT)
    assert server.wishes == [wish]


def test_an_event_arrives_as_it_is_with_the_extensions_that_the_platform_adds(server: HttpSink) -> None:
    event = Event(type="t", source="/s", subject="größe 100%", data=b"\x00\xff\n", extensions={"count": "2"})
    (answer,) = posted(Sink(server.url, overrides={"cluster": "a b%", "count": "3"}), event)
    assert answer == SinkAnswer(Outcome.TAKEN, "202")
    (arrived,) = server.taken
    assert (arrived.id, arrived.subject, arrived.data) == (event.id, "größe 100%", b"\x00\xff\n")
    assert dict(arrived.extensions) == {"cluster": "a b%", "count": "3"}


def test_an_event_is_a_part_of_the_trace_in_which_it_is_sent(server: HttpSink) -> None:
    trace_id = "0123456789abcdef0123456789abcdef"
    cause = Event(type="t", source="/s", extensions={"traceparent": f"00-{trace_id}-0123456789abcdef-01"})
    with traced("test", cause):
        emitted(server.url, EVENT, cause)
    parents = {event.id: event.extension("traceparent") for event in server.taken}
    assert (parents[EVENT.id] or "").startswith(f"00-{trace_id}-")
    assert parents[EVENT.id] != parents[cause.id] == cause.extension("traceparent")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_is_the_end(status: int) -> None:
    assert outcome_of(status) is Outcome.TAKEN
    assert not is_retried(status)


@pytest.mark.parametrize("status", [400, 406, 410, 413, 415, 422])
def test_an_answer_about_the_content_is_final(status: int) -> None:
    assert outcome_of(status) is Outcome.REFUSED
    assert not is_retried(status)


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert outcome_of(status) is Outcome.FAILED
    assert is_retried(status)


@pytest.mark.parametrize("status", [301, 302, 401, 403, 405, 425, 426])
def test_what_speaks_of_address_or_permissions_is_no_fault_of_the_event(status: int) -> None:
    assert outcome_of(status) is Outcome.FAILED
    assert not is_retried(status), "a subscriber's answer, which Knative takes for final"


def test_what_keeps_a_sink_from_answering_is_told(server: HttpSink) -> None:
    assert posted(Sink(f"http://127.0.0.1:{free_port()}/"), EVENT)[0].outcome is Outcome.FAILED
    assert posted(Sink(None), EVENT) == [SinkAnswer(Outcome.FAILED, "K_SINK is not set")]
    server.is_hanging = True
    assert posted(Sink(server.url, timeout_s=0.5), EVENT) == [SinkAnswer(Outcome.FAILED, "no answer within 0.5 s")]
    server.is_hanging = False
    server.status = 422
    assert posted(Sink(server.url), EVENT) == [SinkAnswer(Outcome.REFUSED, "422")]


@pytest.mark.parametrize("status", [422, 503])
def test_an_event_that_was_not_taken_is_an_error_for_who_emits_it(server: HttpSink, status: int) -> None:
    server.judge = lambda event: status if event.id == "7" else None
    with pytest.raises(SinkUnavailable, match=f"trade.v1: {status}"):
        emitted(server.url, *(Event(type=EVENT.type, source="/s", id=str(number)) for number in range(20)))
    assert len(server.taken) == 19, "the others are out"
    with pytest.raises(SinkUnavailable, match="K_SINK is not set"):
        emitted(None, EVENT)


def test_events_go_out_a_few_at_once_over_kept_connections(server: HttpSink) -> None:
    server.delay_s = 0.01
    emitted(server.url, *(Event(type="t", source="/s", id=str(number)) for number in range(40)))
    assert len(server.taken) == 40
    assert 1 < server.most_at_once <= 8
    assert len(server.clients) <= 8


def test_a_sink_that_was_restarted_is_reached_again(server: HttpSink) -> None:
    async def use(sink: Sink) -> list[Outcome]:
        outcomes = [(await sink.post(EVENT)).outcome]
        await asyncio.to_thread(server.stop)
        outcomes.append((await sink.post(EVENT)).outcome)
        await asyncio.to_thread(server.start)
        return [*outcomes, (await sink.post(EVENT)).outcome]

    assert with_sink(Sink(server.url), use) == [Outcome.TAKEN, Outcome.FAILED, Outcome.TAKEN]


def test_a_connection_that_closes_when_it_is_used_again_is_made_anew() -> None:
    """The server closes each connection at its second request, without an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                    connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        answers = posted(Sink(f"http://127.0.0.1:{listener.getsockname()[1]}/"), EVENT, EVENT)
        thread.join()
    assert [answer.outcome for answer in answers] == [Outcome.TAKEN, Outcome.TAKEN]


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/", "/path", "http://", "http://host:99999/", "http://["])
def test_an_address_that_cannot_work_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^K_SINK: expected an address"):
        sink_of(Settings(k_sink=url))


def test_an_https_sink_is_checked_against_the_given_authorities() -> None:
    with http_sink(is_secure=True) as server:
        untrusted, trusted = (
            posted(sink_of(Settings(k_sink=server.url, k_ca_certs=authorities)), EVENT)[0]
            for authorities in (None, server.certificate)
        )
    assert untrusted.outcome is Outcome.FAILED
    assert "CERTIFICATE_VERIFY_FAILED" in untrusted.detail
    assert trusted == SinkAnswer(Outcome.TAKEN, "202")


def test_certificates_that_are_none_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"^K_CA_CERTS: expected certificates"):
        sink_of(Settings(k_sink="https://host/", k_ca_certs="nonsense"))


@pytest.mark.parametrize(
    "wrong",
    ["[]", "nonsense", '{"extensions": [1]}', '{"extensions": {"a-b": "c"}}', '{"extensions": {"type": "c"}}'],
)
def test_overrides_that_cannot_be_used_are_refused_at_once(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^K_CE_OVERRIDES: expected"):
        sink_of(Settings(k_ce_overrides=wrong))


def test_overrides_are_read() -> None:
    assert overrides_of(None) == overrides_of("") == overrides_of("{}") == {}
    assert overrides_of(json.dumps({"extensions": {"a": "b", "n": 1}})) == {"a": "b", "n": "1"}
