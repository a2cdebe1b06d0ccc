"""A batch of raw messages of one kind becomes rows and dead letters, written together."""

import collections
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import UNSET
from prometheus_client import Counter

from common.clock import Clock
from common.errors import InvalidEvent
from common.events import types
from common.events.envelope import Event
from common.events.redelivery import attributes_of_message
from common.models.dead_letters import DeadLetter, dead_letter
from common.models.families import BY_KIND, Family
from common.models.rows import FundingRow, MarkPriceRow
from common.storage.ports import MarketStore, Part, WriteCounts
from common.wire.binance import decoders
from common.wire.classify import explain
from functions.ingest.errors import BadRow, UnhandledRow
from functions.ingest.rows import READERS, funding_of, latest_plausible_ms
from functions.ingest.trade_batches import trade_rows

log = logging.getLogger(__name__)

PROCESSED = Counter("data_manager_messages_processed_total", "Messages whose rows are stored", ["event_type"])
FAILED = Counter("data_manager_messages_failed_total", "Messages set aside", ["event_type", "error_type"])
STORED = Counter("petrosa_rows_stored_total", "Rows by what writing them did", ["family", "result"])
UNHANDLED = Counter("petrosa_messages_unhandled_total", "Sound messages of a kind that is not stored", ["event_type"])

_KINDS: Final = {types.market(kind): kind for kind in READERS}
_DECODE_ERRORS: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


@dataclass(slots=True)
class Batch:
    """What one event held."""

    rows: list[Any] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    unhandled: collections.Counter[str] = field(default_factory=collections.Counter)

    def funding(self) -> list[FundingRow]:
        """Return the funding rates that the mark prices of the batch state: of each funding time the last."""
        newest: dict[tuple[str, int | None], MarkPriceRow] = {}
        for mark in self.rows:
            key = (mark.symbol, mark.next_funding_time_ms)
            if key not in newest or newest[key].time_ms <= mark.time_ms:
                newest[key] = mark
        rates = map(funding_of, newest.values())
        return [rate for rate in rates if rate is not None]


def kind_of(event: Event) -> str:
    """Return the market kind that an event's type names.

    Raises:
        InvalidEvent: the type is none that ingest subscribes to.
    """
    kind = _KINDS.get(event.type)
    if kind is None:
        raise InvalidEvent("type", "one of " + ", ".join(_KINDS), event.type)
    return kind


class BatchReader:
    """Reads the batches of one kind; keeps the kind's decoder."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._decode, self._decode_flat = decoders(kind)
        self._row_of = READERS[kind]

    def read(self, event: Event, now_ms: int) -> Batch:
        """Return the rows of every good message and a dead letter for every bad one."""
        latest_ms = latest_plausible_ms(now_ms)
        messages = event.data.split(b"\n")
        if self._kind == "trade" and (rows := trade_rows(messages, self._decode, latest_ms)) is not None:
            return Batch(rows)
        return self._each(event, messages, now_ms, latest_ms)

    def _each(self, event: Event, messages: Sequence[bytes], now_ms: int, latest_ms: int) -> Batch:
        batch = Batch()
        decode, row_of, keep = self._decode, self._row_of, batch.rows.append
        for raw in messages:
            try:
                envelope = decode(raw)
                data = envelope.data
                if data is UNSET:
                    data = self._decode_flat(raw)
                keep(row_of(data, envelope, latest_ms))
            except BadRow as bad:
                batch.dead_letters.append(self._dead(raw, event, now_ms, bad))
            except UnhandledRow as unhandled:
                batch.unhandled[unhandled.kind] += 1
            except _DECODE_ERRORS as error:
                if raw:  # an empty line is no message
                    batch.dead_letters.append(self._dead(raw, event, now_ms, BadRow(*explain(error, raw))))
        return batch

    def _dead(self, raw: bytes, event: Event, now_ms: int, bad: BadRow) -> DeadLetter:
        return dead_letter(
            raw,
            time_ms=now_ms,
            kind=self._kind,
            reason=bad.reason,
            field=bad.field,
            detail=bad.detail,
            symbol=event.subject,
            origin="ingest",
            event_id=event.id,
            attributes=attributes_of_message(event),
        )


class Writer:
    """Stores batches and counts what became of them."""

    def __init__(self, store: MarketStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._readers = {kind: BatchReader(kind) for kind in READERS}
        self._seen_unhandled: set[str] = set()

    async def store(self, event: Event) -> WriteCounts:
        """Store the batch that ``event`` holds.

        Raises:
            InvalidEvent: the event's type is not a market kind.
            StoreUnavailable: nothing of the batch was stored; it has to come again.
        """
        kind = kind_of(event)
        batch = self._readers[kind].read(event, self._clock.now_ms())
        counts = await self._write(kind, batch)
        self._count(kind, batch, counts)
        return counts

    async def _write(self, kind: str, batch: Batch) -> WriteCounts:
        parts = [Part(BY_KIND[kind].family, batch.rows)]
        if kind == "markprice":
            parts.append(Part(Family.FUNDING_RATES, batch.funding()))
        return await self._store.write(parts, batch.dead_letters)

    def _count(self, kind: str, batch: Batch, counts: WriteCounts) -> None:
        family = BY_KIND[kind].family
        PROCESSED.labels(kind).inc(len(batch.rows))
        for result in ("inserted", "updated", "unchanged", "contradicted"):
            STORED.labels(family, result).inc(getattr(counts, result))
        for letter in batch.dead_letters:
            FAILED.labels(kind, letter.reason).inc()
        for name, count in batch.unhandled.items():
            UNHANDLED.labels(name).inc(count)
            if name not in self._seen_unhandled:
                self._seen_unhandled.add(name)
                log.info("messages of this kind are not stored", extra={"kind": name})
        if counts.contradicted:
            extra = {"kind": kind, "count": counts.contradicted}
            log.warning("facts contradict stored ones: see the store's contradictions", extra=extra)
        if batch.dead_letters:
            extra = {
                "kind": kind,
                "count": len(batch.dead_letters),
                "first": batch.dead_letters[0].detail,
            }
            log.warning("messages became dead letters", extra=extra)
