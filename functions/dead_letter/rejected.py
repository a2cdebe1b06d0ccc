"""Messages that the bridge rejected: one dead letter a line, written where the reason was found."""

from collections.abc import Iterator

from common.errors import MalformedEvent
from common.events.envelope import Event
from common.models.dead_letters import DeadLetter, Reason, dead_letter
from common.wire.rejected import decode_rejected


def rejected_letters(event: Event, *, time_ms: int) -> Iterator[DeadLetter]:
    """Yield the dead letter of every line; a line that is none becomes one itself, and stops no other.

    Args:
        event: a batch of rejected messages.
        time_ms: the present, for broken lines.
    """
    for line in filter(None, event.data.split(b"\n")):
        try:
            yield decode_rejected(line)
        except (MalformedEvent, RecursionError) as error:
            yield dead_letter(
                line,
                time_ms=time_ms,
                kind=event.type,
                reason=Reason.NOT_JSON,
                detail=f"expected a rejected message: {error}",
                origin="bridge",
                event_id=event.id,
            )
