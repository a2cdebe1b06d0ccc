"""Messages that can never be processed: why, and the stream that keeps them whole."""

import asyncio
import logging
from typing import Final

import nats.errors

from common.clock import Clock
from common.errors import TemporaryError
from common.events.envelope import NDJSON, Event
from common.events.redelivery import attributes_of_message
from common.events.types import MARKET_KINDS, market
from common.models.dead_letters import DeadLetter, Reason, dead_letter
from common.settings import Settings
from common.wire.classify import Classified
from triggers.nats_bridge.batch import SOURCE, Batch
from triggers.nats_bridge.connection import Connection

log = logging.getLogger(__name__)

_ORIGIN: Final = "bridge"
_PUBLISH_TIMEOUT_S: Final = 5.0
_AT_ONCE: Final = 100
_HEADER_ROOM_BYTES: Final = 2048
_JSON_REASONS: Final = frozenset({Reason.NOT_JSON, Reason.NOT_UTF8, Reason.TOO_DEEP})


def too_large(raw: bytes, max_bytes: int) -> Classified:
    """Return the verdict on a message that no batch can hold."""
    return Classified(
        "unknown", None, Reason.TOO_LARGE, f"expected at most {max_bytes} bytes, was {len(raw)}"
    )  # fmt: skip


def letter_of(raw: bytes, verdict: Classified, clock: Clock) -> DeadLetter:
    """Return the dead letter of a message that was found to be no event."""
    return dead_letter(
        raw,
        time_ms=clock.now_ms(),
        kind=verdict.kind,
        reason=verdict.reason or Reason.INVALID_VALUE,
        detail=verdict.detail or "",
        field=verdict.field,
        symbol=verdict.symbol,
        origin=_ORIGIN,
        attributes=_attributes(verdict.kind, verdict.symbol),
    )


def refused_letter(batch: Batch, answer: str, clock: Clock) -> DeadLetter:
    """Return the dead letter of the one message of a batch that the sink refused."""
    symbol = next(iter(batch.symbols), None)
    return dead_letter(
        batch.payloads[0],
        time_ms=clock.now_ms(),
        kind=batch.kind,
        reason=Reason.REFUSED,
        detail=f"the sink answered {answer}",
        symbol=symbol,
        origin=_ORIGIN,
        attributes=_attributes(batch.kind, symbol),
    )


def _attributes(kind: str, symbol: str | None) -> str | None:
    """Return the attributes of an event that holds one message of this kind; None when no kind is known."""
    if kind not in MARKET_KINDS:
        return None
    return attributes_of_message(Event(market(kind), SOURCE, subject=symbol, datacontenttype=NDJSON))


def error_type(reason: Reason) -> str:
    """Return the reason as the metric of failed messages names it."""
    return "json_decode" if reason in _JSON_REASONS else "processing"


class DeadLetterStream:
    """Publishes rejected messages to the dead-letter subject, each with its reason, until they are acknowledged."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._subject = settings.nats_dead_letter_subject
        self._stream = settings.nats_stream
        self._original_subject = settings.nats_consumer_subject

    async def keep(self, batch: Batch) -> bool:
        """Publish rejected messages; tell whether all are stored. The server drops what it has already."""
        messages = list(zip(batch.letters, batch.payloads, batch.sequences, strict=True))
        try:
            for start in range(0, len(messages), _AT_ONCE):
                chunk = messages[start : start + _AT_ONCE]
                await asyncio.gather(*(self._publish(*message) for message in chunk))
        except (nats.errors.Error, TemporaryError, TimeoutError, OSError) as error:
            log.warning("dead letters were not stored yet", extra={"count": len(batch), "error": repr(error)})
            return False
        return True

    async def _publish(self, letter: DeadLetter, raw: bytes, sequence: str) -> None:
        client = self._connection.connected_client()
        room = client.max_payload - _HEADER_ROOM_BYTES
        headers = {
            "Nats-Msg-Id": f"{self._stream}:{sequence}:{letter.dead_letter_id}",
            "Petrosa-Reason": str(letter.reason),
            "Petrosa-Detail": _printable(letter.detail),
            "Petrosa-Kind": _printable(letter.kind),
            "Petrosa-Subject": self._original_subject,
            "Petrosa-Stream": self._stream,
            "Petrosa-Stream-Sequence": sequence,
        }
        if len(raw) > room:  # with its headers it is above the server's limit; the stream still has it whole
            headers["Petrosa-Truncated-From"] = str(len(raw))
        js = client.jetstream(timeout=_PUBLISH_TIMEOUT_S)
        await js.publish(self._subject, raw[:room], headers=headers)


def _printable(text: str) -> str:
    return "".join(character if " " <= character <= "~" else "?" for character in text)
