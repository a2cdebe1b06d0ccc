"""Dead letters: what is kept of events that the Broker gave up and of messages that the bridge rejected."""

import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clock import FixedClock
from common.errors import StoreUnavailable
from common.events import Event, from_http, types
from common.events.codec import headers_of
from common.events.own import AnalyticsRequested
from common.models.dead_letters import PAYLOAD_BYTES, DeadLetter, Reason, dead_letter
from common.storage.sqlite.market import SqliteMarketStore
from common.wire.rejected import encode_rejected
from functions.dead_letter.archive import Archive, letters_of

NOW = 1_760_961_600_000


def error_data(answer: str, destination: str = "http://volume.petrosa-apps.svc.cluster.local") -> str:
    """What Knative puts into ``knativeerrordata``: base64 of JSON in which the answer is base64 again."""
    wrapped = {"errdestination": destination, "errcode": 422, "errresponsebody": b64encode(answer.encode()).decode()}
    return b64encode(json.dumps(wrapped).encode()).decode()


def undelivered(code: str | None = "422", answer: str | None = None, **changes: object) -> Event:
    extensions = {
        "knativeerrordest": "http://broker-filter.knative-eventing/triggers/petrosa-apps/volume/1",
        "knativeerrorcode": code,
        "knativeerrordata": answer,
    }
    event = Event(
        type=AnalyticsRequested.TYPE,
        source="/functions/planner",
        id="analytics/x",
        subject="BTCUSDT",
        data=b'{"metric":"volume"}',
        extensions={name: value for name, value in extensions.items() if value is not None},
    )
    return replace(event, **changes)  # type: ignore[arg-type] # fields of an event


def letter_of(event: Event) -> DeadLetter:
    (letter,) = letters_of(event, time_ms=NOW)
    return letter


def test_a_refused_event_says_who_refused_it_why_and_which_field() -> None:
    answer = json.dumps({"error": "invalid_event", "detail": "timeframe: expected 1h, was '7h'", "field": "timeframe"})
    letter = letter_of(undelivered("422", error_data(answer)))
    assert letter.reason is Reason.REFUSED
    assert letter.detail == "volume.petrosa-apps.svc.cluster.local answered 422: timeframe: expected 1h, was '7h'"
    assert letter.field == "timeframe"
    assert (letter.kind, letter.symbol, letter.origin) == (AnalyticsRequested.TYPE, "BTCUSDT", "broker")
    assert (letter.event_id, letter.excerpt, letter.time_ms) == ("analytics/x", '{"metric":"volume"}', NOW)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("400", Reason.REFUSED),
        ("413", Reason.REFUSED),
        ("422", Reason.REFUSED),
        ("404", Reason.EXHAUSTED),
        ("408", Reason.EXHAUSTED),
        ("409", Reason.EXHAUSTED),
        ("429", Reason.EXHAUSTED),
        ("500", Reason.EXHAUSTED),
        ("503", Reason.EXHAUSTED),
        (None, Reason.EXHAUSTED),
        ("-1", Reason.EXHAUSTED),
        ("soon", Reason.EXHAUSTED),
    ],
)
def test_the_code_decides_between_refused_and_exhausted(code: str | None, reason: Reason) -> None:
    assert letter_of(undelivered(code)).reason is reason


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b64encode(b"upstream connect error").decode(), "upstream connect error"),
        ("not base64 at all!", "not base64 at all!"),
        (error_data("<html>\n bad gateway </html>"), "<html> bad gateway </html>"),
        (error_data('{"detail": ["a", "b"]}'), '{"detail": ["a", "b"]}'),
        (error_data("x", destination="http://[broken"), "http://[broken answered 502: x"),
        ("", "answered 502"),
    ],
)
def test_whatever_the_broker_says_is_kept_as_far_as_it_can_be_read(data: str, words: str) -> None:
    letter = letter_of(undelivered("502", data))
    assert words in letter.detail
    assert letter.field is None


@given(data=st.binary(max_size=200), subject=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_an_event_can_be_delivered_once_more_as_it_was(data: bytes, subject: str | None) -> None:
    given_up = undelivered("503", error_data("away"), data=data, subject=subject, time_ms=NOW, datacontenttype="x/y")
    letter = letter_of(replace(given_up, extensions={**given_up.extensions, "metric": "volume"}))
    headers = {name.decode(): value.decode() for name, value in headers_of(json.loads(letter.attributes or ""))}
    again = from_http(headers, letter.payload or b"")
    assert again == replace(given_up, extensions={"metric": "volume"})
    assert letter.destination == "http://volume.petrosa-apps.svc.cluster.local"


def test_of_data_that_are_too_large_an_excerpt_is_kept() -> None:
    assert letter_of(undelivered(data=bytes(PAYLOAD_BYTES))).payload == bytes(PAYLOAD_BYTES)
    letter = letter_of(undelivered(data=b"x" * (PAYLOAD_BYTES + 1)))
    assert (letter.payload, letter.size_bytes) == (None, PAYLOAD_BYTES + 1)
    assert letter.excerpt.startswith("xxx")


def test_an_event_is_one_dead_letter_however_often_it_arrives() -> None:
    first, again = undelivered(), undelivered()
    other_function = undelivered(answer=error_data("", destination="http://volatility"))
    ids = [letter_of(event).dead_letter_id for event in (first, again, other_function)]
    assert ids[0] == ids[1] != ids[2]


def test_an_id_that_a_stream_made_anew_repeats_is_another_dead_letter() -> None:
    first, second = (letter_of(undelivered(data=data)) for data in (b"1", b"2"))
    assert first.dead_letter_id != second.dead_letter_id


def test_events_without_data_are_told_apart() -> None:
    ticks = [undelivered(type=types.PING, id=f"tick-{number}", data=b"", subject=None) for number in range(2)]
    assert len({letter_of(tick).dead_letter_id for tick in ticks}) == 2


def test_a_subject_that_is_no_symbol_is_not_taken_for_one() -> None:
    assert letter_of(undelivered(subject="../../etc")).symbol is None


def rejected(*lines: bytes) -> Event:
    return Event(type=types.MARKET_REJECTED, source="/bridge", id="batch-1", data=b"\n".join(lines))


def sound(number: int) -> DeadLetter:
    return dead_letter(
        b"\xff\xfe%d" % number,
        time_ms=NOW - number,
        kind="unknown",
        reason=Reason.NOT_UTF8,
        detail="x",
        origin="bridge",
    )


def test_every_rejected_message_is_kept_as_the_bridge_wrote_it() -> None:
    letters = [sound(number) for number in range(3)]
    assert letters_of(rejected(*map(encode_rejected, letters)), time_ms=NOW) == letters


def test_broken_lines_are_kept_themselves_and_stop_no_other() -> None:
    lines = [
        b"{",
        encode_rejected(sound(1)),
        b'{"kind": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
        encode_rejected(sound(2)),
        b"",
    ]
    letters = letters_of(rejected(*lines), time_ms=NOW)
    assert letters[1] == sound(1)
    assert letters[5] == sound(2)
    broken = [letter for letter in letters if letter.kind == types.MARKET_REJECTED]
    assert len(broken) == 4
    assert {letter.origin for letter in broken} == {"bridge"}
    assert letters[0].excerpt == "{"


def test_rejected_messages_that_come_by_way_of_the_dead_letter_sink_are_read_too() -> None:
    event = rejected(encode_rejected(sound(1)))
    event = replace(event, extensions={"knativeerrorcode": "503"})
    assert letters_of(event, time_ms=NOW) == [sound(1)]


def test_what_arrives_is_stored_and_an_empty_batch_is_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteMarketStore(tmp_path, busy_timeout_ms=2000)
        archive = Archive(store, FixedClock(NOW))
        for event in (undelivered(), rejected(encode_rejected(sound(1))), rejected()):
            await archive.keep(event)
        letters, total = await store.dead_letters()
        assert [letter.origin for letter in letters] == ["broker", "bridge"]
        assert total == 2
        await store.close()

    asyncio.run(scenario())


def test_a_store_that_is_away_makes_the_event_come_again(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder is to be")

    async def scenario() -> None:
        store = SqliteMarketStore(tmp_path / "state", busy_timeout_ms=2000)
        with pytest.raises(StoreUnavailable):
            await Archive(store, FixedClock(NOW)).keep(undelivered())
        await store.close()

    asyncio.run(scenario())


texts = st.text(max_size=40)


@given(
    code=texts,
    answer=texts | st.binary(max_size=80).map(lambda raw: b64encode(raw).decode()),
    body=st.binary(max_size=600),
)
def test_no_event_is_ever_refused(code: str, answer: str, body: bytes) -> None:
    letter = letter_of(undelivered(code, answer, data=body))
    assert len(letter.detail) <= 300
    assert letter.size_bytes == len(body)
