"""Messages that travel together: what the sink gets of them and what the server is told about them."""

import itertools
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from common.events import types
from common.events.envelope import NDJSON, Event
from common.models.dead_letters import DeadLetter
from common.wire.rejected import encode_rejected
from triggers.nats_bridge import acks

SOURCE: Final = "/triggers/nats_bridge"

_numbers: Final = itertools.count(1)


class Batch:
    """Raw messages of one kind, in the order of their arrival.

    Attributes:
        kind: market kind of all messages.
        number: order of the batches in this process.
        payloads: the raw messages.
        replies: their reply subjects, in step with ``payloads``.
        sequences: their sequences in the stream, known once the batch is sealed.
        symbols: the symbols named by the messages; ``None`` stands for a message without one.
        size_bytes: length of the framed data.
        opened_s: when the first message came.
        signalled_s: when the server last heard of these messages.
        failures: how often the sink failed to take the batch.
        failed_s: when it failed first.
        not_before_s: when it may be tried again.
    """

    __slots__ = (
        "failed_s",
        "failures",
        "kind",
        "not_before_s",
        "number",
        "opened_s",
        "payloads",
        "replies",
        "sequences",
        "signalled_s",
        "size_bytes",
        "symbols",
    )

    def __init__(self, kind: str, now_s: float) -> None:
        self.kind = kind
        self.number = next(_numbers)
        self.payloads: list[bytes] = []
        self.replies: list[str] = []
        self.sequences: list[str] = []
        self.symbols: set[str | None] = set()
        self.size_bytes = 0
        self.opened_s = now_s
        self.signalled_s = now_s
        self.failures = 0
        self.failed_s: float | None = None
        self.not_before_s = 0.0

    def __len__(self) -> int:
        return len(self.replies)

    @property
    def event_type(self) -> str:
        """Type of the event that carries the batch."""
        return types.market(self.kind)

    def seal(self) -> int:
        """Note the sequences, when the last message has come; return how many messages were delivered before."""
        self.sequences, again = acks.sequences(self.replies)
        return again

    def data(self) -> bytes:
        """Return the event's data: a message a line.

        A line break inside a message becomes a blank: both are white space in JSON, and the framing needs it.
        Nothing else is changed.
        """
        joined = b"\n".join(self.payloads)
        if joined.count(b"\n") == len(self.payloads) - 1 and b"\r" not in joined:
            return joined
        return b"\n".join(raw.replace(b"\n", b" ").replace(b"\r", b" ") for raw in self.payloads)

    def halves(self) -> tuple["Batch", "Batch"]:
        """Return the first and the second half as batches of their own, in this batch's place."""
        middle = len(self) // 2
        return self._part(0, middle), self._part(middle, len(self))

    def _part(self, start: int, stop: int) -> "Batch":
        part = Batch(self.kind, self.opened_s)
        part.number = self.number
        part.signalled_s = self.signalled_s
        part.payloads = self.payloads[start:stop]
        part.replies = self.replies[start:stop]
        part.sequences = self.sequences[start:stop]
        part.size_bytes = sum(map(len, part.payloads)) + len(part)
        part.symbols = self.symbols if len(self.symbols) == 1 else {None}
        return part


class RejectedBatch(Batch):
    """Messages that can never be processed, with the reasons.

    Attributes:
        letters: what is kept of each message, in step with ``payloads``.
        is_kept: whether the messages lie in the dead-letter stream.
    """

    __slots__ = ("is_kept", "letters")

    def __init__(self, now_s: float) -> None:
        super().__init__("rejected", now_s)
        self.letters: list[DeadLetter] = []
        self.is_kept = False

    @property
    def event_type(self) -> str:
        """Type of the event that carries the dead letters."""
        return types.MARKET_REJECTED

    def data(self) -> bytes:
        """Return the event's data: a dead letter a line."""
        return b"\n".join(map(encode_rejected, self.letters))

    def _part(self, start: int, stop: int) -> "RejectedBatch":
        part = RejectedBatch(self.opened_s)
        part.number = self.number
        part.signalled_s = self.signalled_s
        part.payloads = self.payloads[start:stop]
        part.replies = self.replies[start:stop]
        part.sequences = self.sequences[start:stop]
        part.letters = self.letters[start:stop]
        part.size_bytes = sum(map(len, part.payloads)) + len(part)
        part.symbols = {letter.symbol for letter in part.letters}
        part.is_kept = self.is_kept
        return part


def event_of(batch: Batch, now_ms: int) -> Event:
    """Return the event that carries a batch.

    Its id is a digest of the kind and of the sequences of the messages, and so is its trace: the same batch sent
    again is the same event.
    """
    digest = _digest(batch.kind, batch.sequences)
    symbol = next(iter(batch.symbols)) if len(batch.symbols) == 1 else None
    return Event(
        type=batch.event_type,
        source=SOURCE,
        id=digest[:32],
        subject=symbol,
        time_ms=now_ms,
        datacontenttype=NDJSON,
        data=batch.data(),
        extensions={
            types.COUNT: str(len(batch)),
            types.TRACEPARENT: f"00-{digest[:32]}-{digest[32:48]}-01",
        },
    )


def _digest(kind: str, sequences: Sequence[str]) -> str:
    return blake2b(f"{kind}:{','.join(sequences)}".encode(), digest_size=24).hexdigest()
