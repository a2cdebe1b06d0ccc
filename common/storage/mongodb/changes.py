"""What changed: the list of changes, and for each series how often it changed and who is writing it.

No transaction spans the rows of a batch and the record of its change. So a write is registered with its series before
it touches a row, and leaves the register only after its change is on record. One that was cut off in between stays
registered until it cannot be at work any more; then whoever looks for changes or writes puts it on record. So no
change is lost, and what was read of a series while it was written is never taken for its state afterwards.

The collection ``series`` holds the register (``open``) and the count of changes of each series, ``changes`` the list
by number, and ``counters`` the number that was drawn last.
"""

import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from pymongo import ASCENDING, DESCENDING, ReturnDocument, UpdateOne

from common.clock import Clock
from common.models.changes import CHANGES, Change
from common.models.rows import MarketRow
from common.storage.mongodb.connection import Connection, faults, refused
from common.storage.mongodb.documents import Document
from common.storage.mongodb.schema import Indexes
from common.storage.mongodb.times import stored_instant
from common.times import MINUTE_MS, SECOND_MS

_SERIES: Final = "series"
_COUNTERS: Final = "counters"
_SKEW_MS: Final = 30 * SECOND_MS  # between the clocks of two machines
_UNBOUNDED_MS: Final = 10 * MINUTE_MS  # of a connection whose calls have no bound


class Span(NamedTuple):
    """The first and the last time that a write may touch, both included."""

    first_ms: int
    last_ms: int

    @classmethod
    def of(cls, times: Sequence[int]) -> "Span":
        """Return what some times span; there is one at least."""
        return cls(min(times), max(times))


class Seen(NamedTuple):
    """A series as its register shows it: what differs after every change, if anybody said so, and who is at work."""

    token: object | None
    at_work: bool


class Changed(NamedTuple):
    """How many rows of a series a write added, changed and removed; ``span`` where less was touched than offered."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    span: Span | None = None

    @classmethod
    def of(cls, inserted: Sequence[MarketRow], updated: Sequence[MarketRow] = ()) -> "Changed":
        """Return what it means that these rows are new, and those other than before."""
        times = [row.time_ms for row in (*inserted, *updated)]
        return cls(len(inserted), len(updated), span=Span.of(times) if times else None)


class Changes:
    """The record of the changes of a database.

    Args:
        connection: the database.
        indexes: makes the index by which old changes go.
        clock: tells when; the clocks of all processes are taken to agree within half a minute.
    """

    def __init__(self, connection: Connection, indexes: Indexes, clock: Clock) -> None:
        self._connection = connection
        self._indexes = indexes
        self._clock = clock
        self._series = connection.primary_collection(_SERIES)
        self._counters = connection.primary_collection(_COUNTERS)
        self._changes = connection.primary_collection(CHANGES)
        # A write takes no longer than its calls, which are bounded.
        self._patience_ms = (connection.timeout_ms or _UNBOUNDED_MS) + _SKEW_MS
        self._settled_ms = 0

    @asynccontextmanager
    async def recorded(
        self, spans: Mapping[str, Span], *, totals: Collection[str] = ()
    ) -> AsyncIterator[dict[str, Changed]]:
        """Register a write of some series around it, and put on record what it says that it did.

        Args:
            spans: the series, and the times that may be touched.
            totals: names that change whenever one of the series does; they have a revision, but no changes listed.

        Yields:
            What the write did to each series, for the block to fill in; what is left out did not change.
        """
        token = uuid.uuid4().hex
        names = [*spans, *totals]
        await self._settle_in_passing()
        await self._register(token, {**spans, **dict.fromkeys(totals)} if spans else {})
        done: dict[str, Changed] = {}
        yield done
        changed = {name: did for name, did in done.items() if any(did[:3])}
        await self._append([(name, did._replace(span=did.span or spans[name])) for name, did in changed.items()])
        counted = {*changed, *totals} if changed else set()
        await self._update(_leave(name, token, counted=name in counted) for name in names if spans)

    async def revision(self, name: str) -> object | None:
        """Return what differs after every change of a series.

        ``None`` while the series is written, when no write of it was ever registered, and where rows are read from
        servers that may lag behind the one that is asked here.
        """
        seen = await self.look(name)
        return None if seen.at_work or self._connection.reads_lag else seen.token

    async def look(self, name: str) -> Seen:
        """Return how a series stands."""
        with faults():
            found = await self._series.find_one({"_id": name})
        if found is None:
            return Seen(None, at_work=False)
        # A write that was cut off may have changed something: it counts from then on.
        token = (found["since"], found["changes"] + len(found["open"]))
        return Seen(token, at_work=bool(self._tokens(found, at_work=True)))

    async def after(self, number: int, limit: int) -> list[Change]:
        """Return the changes behind a number, ascending, up to where one may still come in between."""
        drawn = await self._drawn()
        is_quiet = await self._settle()
        with faults():
            cursor = self._changes.find({"_id": {"$gt": number}}, sort=[("_id", ASCENDING)], limit=limit)
            found = await cursor.to_list()
        changes: list[Change] = []
        # A missing number was drawn by a write that is registered until its changes can be seen, and was not seen at
        # work after the number was drawn; or by one that was registered so long ago that it cannot be at work.
        sure_ms = self._clock.now_ms() - self._patience_ms
        for document in found:
            is_gap_final = (is_quiet and document["_id"] <= drawn + 1) or document["time_ms"] < sure_ms
            if document["_id"] != number + 1 and not is_gap_final:
                break
            number = document["_id"]
            changes.append(_change(document))
        return changes

    async def _register(self, token: str, spans: Mapping[str, Span | None]) -> None:
        until_ms = self._clock.now_ms() + self._patience_ms
        await self._update(
            UpdateOne(
                {"_id": name},
                {
                    "$set": {f"open.{token}": {"until_ms": until_ms, "span": span}},
                    "$setOnInsert": {"since": token, "changes": 0},
                },
                upsert=True,
            )
            for name, span in spans.items()
        )

    async def _append(self, changes: list[tuple[str, Changed]]) -> None:
        while changes:
            first = await self._draw(len(changes))
            now_ms = self._clock.now_ms()  # after the draw: lower numbers were drawn before this
            documents = [
                _document(number, name, did, now_ms) for number, (name, did) in enumerate(changes, start=first)
            ]
            collection = await self._indexes.of_changes()
            changes = [
                changes[position] for position in await refused(collection.insert_many(documents, ordered=False))
            ]
            if changes:
                await self._catch_up()

    async def _draw(self, count: int) -> int:
        """Draw some numbers in a row and return the first."""
        with faults():
            counter: Any = await self._counters.find_one_and_update(
                {"_id": CHANGES}, {"$inc": {"value": count}}, upsert=True, return_document=ReturnDocument.AFTER
            )
        return int(counter["value"]) - count + 1

    async def _catch_up(self) -> None:
        """Lift the counter over the numbers that exist: it was lost, or the server gave one number to two."""
        with faults():
            newest: Any = await self._changes.find_one(sort=[("_id", DESCENDING)])
            await self._counters.update_one({"_id": CHANGES}, {"$max": {"value": newest["_id"]}})

    async def _update(self, updates: Iterable[UpdateOne]) -> None:
        operations = list(updates)
        if operations:
            with faults():
                await self._series.bulk_write(operations, ordered=False)

    async def _drawn(self) -> int:
        with faults():
            counter = await self._counters.find_one({"_id": CHANGES})
        return 0 if counter is None else int(counter["value"])

    async def _settle(self) -> bool:
        """Put on record the writes that were cut off; tell whether no write is at work."""
        with faults():
            busy = await self._series.find({"open": {"$gt": {}}}).to_list()
        lost: list[tuple[str, Changed]] = []
        leaving: list[UpdateOne] = []
        for document in busy:
            name, tokens = document["_id"], self._tokens(document, at_work=False)
            spans = [Span(*span) for token in tokens if (span := document["open"][token]["span"]) is not None]
            if spans:
                lost.append((name, Changed(span=Span.of([time_ms for span in spans for time_ms in span]))))
            leaving += [_leave(name, token, counted=True) for token in tokens]
        await self._append(lost)
        await self._update(leaving)
        return not any(self._tokens(document, at_work=True) for document in busy)

    async def _settle_in_passing(self) -> None:
        """Keep the register small where nobody looks for changes: a write that fails stays in it."""
        now_ms = self._clock.now_ms()
        if now_ms - self._settled_ms >= self._patience_ms:
            self._settled_ms = now_ms
            await self._settle()

    def _tokens(self, series: Document, *, at_work: bool) -> list[str]:
        """Return the registered writes of a series: those that may be at work, or those that were cut off."""
        now_ms = self._clock.now_ms()
        return [token for token, entry in series["open"].items() if (entry["until_ms"] > now_ms) == at_work]


def _leave(name: str, token: str, *, counted: bool) -> UpdateOne:
    """Take a write from the register, once."""
    update: Document = {"$unset": {f"open.{token}": True}}
    if counted:
        update["$inc"] = {"changes": 1}
    return UpdateOne({"_id": name, f"open.{token}": {"$exists": True}}, update)


def _document(number: int, name: str, did: Changed, now_ms: int) -> Document:
    first_ms, last_ms = did.span or (None, None)
    change = Change(number, name, first_ms, last_ms, did.inserted, did.updated, did.deleted, now_ms)
    fields = change._asdict()
    return {"_id": fields.pop("number"), **fields, "stored_at": stored_instant(change.time_ms)}


def _change(document: Mapping[str, Any]) -> Change:
    return Change(document["_id"], *(document[field] for field in Change._fields[1:]))
