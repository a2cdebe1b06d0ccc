"""The record of changes on MongoDB: what a reader may trust while others write, stall, and are killed."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import pytest

from common.clock import Clock, SystemClock
from common.errors import StoreUnavailable
from common.models.changes import Change
from common.storage.mongodb.changes import Changed, Changes, Span
from common.storage.mongodb.connection import Connection, ConnectionOptions, faults
from common.storage.mongodb.schema import Indexes
from common.times import DAY_MS, MINUTE_MS
from tests.support.mongo_stores import LaterClock, collect_sockets, options
from tests.support.servers.mongodb import MongoServer
from tests.support.servers.proxy import Proxy

SPAN = Span(1000, 2000)
ADDED = Changed(inserted=1)


@asynccontextmanager
async def record(connection: ConnectionOptions, clock: Clock | None = None) -> AsyncIterator[Changes]:
    """Open a record as another process has it."""
    link = Connection(connection)
    try:
        yield Changes(link, Indexes(link, {}), clock or SystemClock())
    finally:
        await link.close()


async def written(changes: Changes, *names: str, did: Changed = ADDED) -> None:
    async with changes.recorded(dict.fromkeys(names, SPAN)) as done:
        done.update(dict.fromkeys(names, did))


async def cut_off(changes: Changes, name: str, *, drawing: bool = False) -> None:
    """Write and fail in the middle, or after a number was drawn for the change."""
    with contextlib.suppress(RuntimeError):
        async with changes.recorded({name: SPAN}):
            if drawing:
                await draw(changes)
            raise RuntimeError("the process was killed here")


async def draw(changes: Changes) -> None:
    await changes._counters.update_one({"_id": "changes"}, {"$inc": {"value": 1}}, upsert=True)


def names_of(changes: list[Change]) -> list[str]:
    return [change.dataset_id for change in changes]


def test_changes_are_read_on_from_any_number(mongodb_connection: ConnectionOptions) -> None:
    async def scenario() -> None:
        async with record(mongodb_connection) as one, record(mongodb_connection) as other:
            assert await other.after(0, 10) == []
            await written(one, "a", "b", did=Changed(inserted=2, updated=3))
            await written(other, "c", did=Changed(deleted=4))
            first, second, third = await other.after(0, 10)
            assert (first.number, first.dataset_id, first.first_ms, first.last_ms) == (1, "a", 1000, 2000)
            assert (first.inserted, first.updated, first.deleted) == (2, 3, 0)
            assert abs(first.time_ms - SystemClock().now_ms()) < MINUTE_MS
            assert (second.dataset_id, third.dataset_id, third.deleted) == ("b", "c", 4)
            assert await other.after(1, 1) == [second]
            assert await one.after(3, 10) == []

    asyncio.run(scenario())


def test_a_write_that_changed_nothing_is_no_change(mongodb_connection: ConnectionOptions) -> None:
    async def scenario() -> None:
        async with record(mongodb_connection) as changes:
            await written(changes, "a")
            before = await changes.revision("a")
            await written(changes, "a", did=Changed())
            assert await changes.revision("a") == before is not None
            assert names_of(await changes.after(0, 10)) == ["a"]

    asyncio.run(scenario())


def test_a_revision_is_of_one_series_and_none_while_it_is_written(mongodb_connection: ConnectionOptions) -> None:
    async def scenario() -> None:
        async with record(mongodb_connection) as one, record(mongodb_connection) as other:
            assert await one.revision("a") is None  # whoever wrote it before this program did not say so
            await written(one, "a", "b")
            seen = [await other.revision("a"), await other.revision("b")]
            async with one.recorded({"a": SPAN}) as done:
                assert await other.revision("a") is None
                assert await other.revision("b") == seen[1]
                await written(other, "a")
                assert await other.revision("a") is None  # the first one is still at it
                done["a"] = Changed(updated=1)
            assert await other.revision("a") not in (None, seen[0])
            assert await other.revision("b") == seen[1]

    asyncio.run(scenario())


def test_a_revision_of_a_database_that_was_dropped_does_not_come_back(
    mongodb_connection: ConnectionOptions, mongodb_raw: object
) -> None:
    async def scenario() -> None:
        async with record(mongodb_connection) as changes:
            await written(changes, "a")
            before = await changes.revision("a")
            await changes._connection.database.drop_collection("series")
            await written(changes, "a")
            assert await changes.revision("a") not in (None, before)

    asyncio.run(scenario())


@pytest.mark.parametrize("preference", ["secondaryPreferred", "nearest"])
def test_nothing_is_promised_where_reads_may_lag(
    mongodb_server: MongoServer, mongodb_database: str, preference: str
) -> None:
    lagging = options(f"{mongodb_server.url}?readPreference={preference}", mongodb_database)

    async def scenario() -> None:
        async with record(lagging) as changes:
            await written(changes, "a")
            assert await changes.revision("a") is None
            assert names_of(await changes.after(0, 10)) == ["a"]

    asyncio.run(scenario())


def test_a_write_that_was_cut_off_is_put_on_record_once_it_cannot_be_at_work(
    mongodb_connection: ConnectionOptions,
) -> None:
    clock = LaterClock()

    async def scenario() -> None:
        async with record(mongodb_connection) as writer, record(mongodb_connection, clock) as reader:
            await written(writer, "a")
            before = await reader.revision("a")
            await cut_off(writer, "a")
            await written(writer, "a", did=Changed())  # sent again: all of it was there
            assert await reader.revision("a") is None
            assert len(await reader.after(0, 10)) == 1
            clock.ahead_ms = MINUTE_MS
            after = await reader.revision("a")
            assert after not in (None, before)
            found = await reader.after(1, 10)
            assert [(change.dataset_id, *change[2:7]) for change in found] == [("a", *SPAN, 0, 0, 0)]
            assert await reader.revision("a") == after  # it was counted already
            assert await reader.after(2, 10) == []

    asyncio.run(scenario())


def test_writes_that_were_cut_off_do_not_pile_up_where_nobody_looks_for_changes(
    mongodb_connection: ConnectionOptions,
) -> None:
    clock = LaterClock()

    async def scenario() -> None:
        async with record(mongodb_connection) as failing, record(mongodb_connection, clock) as working:
            for span in (SPAN, Span(5, 9), Span(1500, 7000)):
                with contextlib.suppress(RuntimeError):
                    async with failing.recorded({"a": span}, totals=["all"]):
                        raise RuntimeError("the store fails")
            clock.ahead_ms = MINUTE_MS
            before = await working.revision("a")
            await written(working, "b")
            assert await working._series.count_documents({"open": {"$gt": {}}}) == 0
            assert await working.revision("a") == before is not None
            found = await working.after(0, 10)
            assert [(change.dataset_id, *change[2:7]) for change in found] == [
                ("a", 5, 7000, 0, 0, 0),
                ("b", *SPAN, 1, 0, 0),
            ]

    asyncio.run(scenario())


def test_a_number_that_is_not_seen_yet_is_waited_for(mongodb_connection: ConnectionOptions) -> None:
    """A writer stalls between drawing its number and writing its change; another one overtakes it."""
    clock = LaterClock()

    async def scenario() -> None:
        async with record(mongodb_connection) as slow, record(mongodb_connection, clock) as reader:
            drawn, go_on = asyncio.Event(), asyncio.Event()
            insert = slow._indexes.of_changes

            async def stall() -> None:
                # What the writer does between draw and insert, held up in between.
                async with slow.recorded({"slow": SPAN}):
                    await draw(slow)
                    drawn.set()
                    await go_on.wait()
                    await (await insert()).insert_one({"_id": 1, **Change(1, "slow", 1, 2, 1, 0, 0, 5)._asdict()})

            stalled = asyncio.create_task(stall())
            await drawn.wait()
            await written(reader, "fast", "fast too")
            assert await reader.after(0, 10) == []
            assert await reader.after(1, 1) == (await reader.after(1, 9))[:1]
            go_on.set()
            await stalled
            assert names_of(await reader.after(0, 10)) == ["slow", "fast", "fast too"]

    asyncio.run(scenario())


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_number_whose_writer_was_killed_is_passed_over(mongodb_connection: ConnectionOptions, is_busy: bool) -> None:
    """At once when nobody is writing, else when whoever drew it cannot be at work any more."""
    clock = LaterClock()

    async def scenario() -> None:
        async with record(mongodb_connection) as writer, record(mongodb_connection, clock) as reader:
            await cut_off(writer, "killed", drawing=True)
            await written(writer, "next")
            assert await reader.after(0, 10) == []
            clock.ahead_ms = MINUTE_MS
            if is_busy:
                async with reader.recorded({"busy": SPAN}):
                    assert names_of(await reader.after(0, 10)) == ["next", "killed"]
            else:
                assert names_of(await reader.after(0, 10)) == ["next", "killed"]

    asyncio.run(scenario())


def test_changes_that_went_by_their_age_hold_up_nobody(mongodb_connection: ConnectionOptions) -> None:
    async def scenario() -> None:
        async with record(mongodb_connection) as changes:
            for name in "abc":
                await written(changes, name)
            await changes._changes.delete_many({"_id": {"$lt": 3}})
            assert names_of(await changes.after(0, 10)) == ["c"]
            index = (await changes._changes.index_information())["age"]
            assert index["expireAfterSeconds"] * 1000 == DAY_MS

    asyncio.run(scenario())


def test_readers_by_cursor_see_every_change_of_writers_at_once(mongodb_connection: ConnectionOptions) -> None:
    chance = random.Random(1)
    plans = [[f"series_{chance.randrange(4)}" for _ in range(25)] for _ in range(4)]

    async def write(plan: list[str]) -> None:
        async with record(mongodb_connection) as changes:
            for name in plan:
                await written(changes, name, "each")

    async def follow(changes: Changes, expected: int) -> list[Change]:
        seen: list[Change] = []
        while len(seen) < expected:
            seen += await changes.after(seen[-1].number if seen else 0, 7)
        return seen

    async def scenario() -> None:
        total = 2 * sum(map(len, plans))
        async with record(mongodb_connection) as one, record(mongodb_connection) as two:
            writers = [asyncio.create_task(write(plan)) for plan in plans]
            first, second = await asyncio.gather(follow(one, total), follow(two, total))
            await asyncio.gather(*writers)
            assert first == second
            assert len({change.number for change in first}) == total
            assert sorted(names_of(first)) == sorted([*chain(*plans), *["each"] * (total // 2)])

    asyncio.run(scenario())


def test_what_was_read_under_a_revision_is_never_other_under_the_same_one(
    mongodb_connection: ConnectionOptions,
) -> None:
    """Writers change a value in two steps; readers keep what they read by revision, as a cache does."""

    async def write(changes: Changes, number: int) -> None:
        values = changes._connection.collection("values")
        for step in range(20):
            async with changes.recorded({"a": SPAN}) as done:
                for half in "xy":
                    await values.update_one({"_id": f"{half}{number}"}, {"$set": {"step": step}}, upsert=True)
                    await asyncio.sleep(0)
                done["a"] = Changed(updated=1)

    async def state(changes: Changes) -> object:
        found = await changes._connection.collection("values").find(sort=[("_id", 1)]).to_list()
        return [(value["_id"], value["step"]) for value in found]

    async def read(changes: Changes, kept: dict[object, object], writers: "asyncio.Future[Any]") -> None:
        while not writers.done():
            revision = await changes.revision("a")
            found = await state(changes)
            if revision in kept and await changes.revision("a") == revision:
                assert kept[revision] == found
            elif revision is not None:
                kept[revision] = found

    async def scenario() -> None:
        async with record(mongodb_connection) as one, record(mongodb_connection) as two:
            kept: dict[object, object] = {}
            writers = asyncio.gather(write(one, 1), write(two, 2), write(one, 3))
            await asyncio.gather(writers, read(one, kept, writers), read(two, kept, writers))
            assert kept

    asyncio.run(scenario())


@pytest.mark.parametrize("passed", [1, 300, 600, 900, 1200, 1500, 2500])
def test_a_writer_whose_connection_is_cut_leaves_no_state_unrecorded(
    mongodb_server: MongoServer, mongodb_database: str, passed: int
) -> None:
    """Wherever it is cut: readers see another revision or none, and a change in the end."""
    clock = LaterClock()
    direct = options(mongodb_server.url, mongodb_database)

    async def scenario() -> None:
        with Proxy(mongodb_server.port, target_host=mongodb_server.host) as proxy:
            through = options(f"mongodb://127.0.0.1:{proxy.port}/?retryWrites=false", mongodb_database)
            async with record(through) as writer, record(direct, clock) as reader:
                await written(writer, "a")
                before = await reader.revision("a")
                proxy.cut_after(passed)
                with contextlib.suppress(StoreUnavailable):
                    async with writer.recorded({"a": SPAN}) as done:
                        with faults():
                            await writer._connection.collection("rows").insert_one({"_id": 1})
                        done["a"] = ADDED
                stored = await reader._connection.collection("rows").find_one() is not None
                revisions = [await reader.revision("a")]
                clock.ahead_ms = MINUTE_MS
                revisions.append(await reader.revision("a"))
                changes = await reader.after(1, 10)
                if stored:
                    assert before not in revisions
                    assert "a" in names_of(changes)
        collect_sockets()

    asyncio.run(scenario())
