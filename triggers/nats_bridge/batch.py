"""Messages that travel together: what the sink gets of them and what the server is told about them."""

import copy
import itertools
from collections.abc import Sequence
from enum import Enum
from hashlib import blake2b
from typing import Final

from common.events import types
from common.events.envelope import NDJSON, Event
from common.models.dead_letters import DeadLetter
from common.wire.rejected import encode_rejected
from triggers.nats_bridge import acks

SOURCE: Final = "/triggers/nats_bridge"
REJECTED: Final = "rejected"  # stands for the kind of messages that can never be processed

_numbers: Final = itertools.count(1)


class State(Enum):
    """Where a batch stands on its way."""

    OPEN = "open"  # takes messages
    WAITING = "waiting"  # for its first turn at the sink
    SENDING = "sending"  # at the sink
    RETRYING = "retrying"  # for its next turn, after the sink failed to take it
    SETTLED = "settled"  # the server was told what became of its messages, or other batches hold them now


class Batch:
    """Raw messages of one kind, in the order of their arrival.

    Attributes:
        kind: market kind of all messages, or ``REJECTED``.
        number: order of the batches in this process.
        state: where it stands.
        payloads: the raw messages.
        replies: their reply subjects, in step with ``payloads``.
        letters: of rejected messages, what is kept of each, in step with ``payloads``; otherwise empty.
        is_kept: whether rejected messages lie in the dead-letter stream.
        sequences: their sequences in the stream, known once the batch is sealed.
        symbols: the symbols named by the messages; None stands for a message without one.
        size_bytes: length of the framed data.
        opened_s: when the first message came.
        signalled_s: when the server last heard of these messages.
        failures: how often the sink failed to take the batch.
        failed_s: when it failed first.
        not_before_s: when it may be tried again.
    """

    def __init__(self, kind: str, now_s: float) -> None:
        self.kind = kind
        self.number = next(_numbers)
        self.state = State.OPEN
        self.payloads: list[bytes] = []
        self.replies: list[str] = []
        self.letters: list[DeadLetter] = []
        self.is_kept = False
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
        return types.MARKET_REJECTED if self.kind == REJECTED else types.market(self.kind)

    def add(self, raw: bytes, reply: str, symbol: str | None) -> None:
        """Add a message."""
        self.payloads.append(raw)
        self.replies.append(reply)
        self.symbols.add(symbol)
        self.size_bytes += len(raw) + 1

    def seal(self) -> int:
        """Note the sequences, when the last message has come; return how many messages were delivered before."""
        self.sequences, again = acks.sequences(self.replies)
        return again

    def data(self) -> bytes:
        """Return the event's data: a message a line, or a dead letter a line.

        A line break inside a message becomes a blank: both are white space in JSON, and the framing needs it.
        Nothing else is changed.
        """
        if self.kind == REJECTED:
            return b"\n".join(map(encode_rejected, self.letters))
        joined = b"\n".join(self.payloads)
        if joined.count(b"\n") == len(self.payloads) - 1 and b"\r" not in joined:
            return joined
        return b"\n".join(raw.replace(b"\n", b" ").replace(b"\r", b" ") for raw in self.payloads)

    def halves(self) -> tuple["Batch", "Batch"]:
        """Return the first and the second half as batches of their own, in this batch's place."""
        middle = len(self) // 2
        return self._part(slice(None, middle)), self._part(slice(middle, None))

    def _part(self, which: slice) -> "Batch":
        part = copy.copy(self)
        part.state = State.WAITING
        part.payloads, part.replies = self.payloads[which], self.replies[which]
        part.sequences, part.letters = self.sequences[which], self.letters[which]
        part.size_bytes = sum(map(len, part.payloads)) + len(part)
        part.symbols = self.symbols if len(self.symbols) == 1 else {None}
        part.failures, part.failed_s, part.not_before_s = 0, None, 0.0
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
