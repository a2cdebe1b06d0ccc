"""The archive of dead letters: whatever arrives here is kept, and counted by reason."""

import logging
from collections.abc import Sequence

from prometheus_client import Counter

from common.clock import Clock
from common.events import types
from common.events.envelope import Event
from common.models.dead_letters import DeadLetter
from common.storage.ports import MarketStore
from functions.dead_letter.rejected import rejected_letters
from functions.dead_letter.undelivered import undelivered_letter

log = logging.getLogger(__name__)

KEPT = Counter("data_manager_dead_letters_total", "Dead letters kept, by origin and reason", ["origin", "reason"])


class Archive:
    """Keeps dead letters in the market store."""

    def __init__(self, store: MarketStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def keep(self, event: Event) -> Sequence[DeadLetter]:
        """Store what an event holds or is, and return it.

        Raises:
            StoreUnavailable: nothing was stored; the event has to come again.
        """
        letters = letters_of(event, time_ms=self._clock.now_ms())
        if letters:
            await self._store.write((), letters)
            _tell(event, letters)
        return letters


def _tell(event: Event, letters: Sequence[DeadLetter]) -> None:
    for letter in letters:
        KEPT.labels(letter.origin, letter.reason).inc()
    extra = {"event_type": event.type, "count": len(letters), "reason": letters[0].reason, "first": letters[0].detail}
    log.warning("dead letters kept", extra=extra)


def letters_of(event: Event, *, time_ms: int) -> list[DeadLetter]:
    """Return the dead letters of an event: one for each rejected message, else one for the event itself."""
    if event.type == types.MARKET_REJECTED:
        return list(rejected_letters(event, time_ms=time_ms))
    return [undelivered_letter(event, time_ms=time_ms)]
