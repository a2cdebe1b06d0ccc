"""The bounds within which the bridge works, derived from the settings in one place."""

from dataclasses import dataclass
from typing import Final

from common.settings import Settings

# Messages asked for at once; two such requests are kept open, so that the server never waits for the next one.
PULL_MESSAGES: Final = 500
PULL_REQUESTS: Final = 2
# Messages asked for while the sink does not answer: enough to find out when it does.
PROBE_MESSAGES: Final = 100

_WAITING_BATCHES: Final = 4  # beside those in flight: the open ones and the next to go
_REPLICAS: Final = 4  # that can hold all they may hold before the consumer's own limit slows them


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one process.

    Attributes:
        batch_messages: a batch closes at so many messages,
        batch_bytes: or before its data is longer than this,
        batch_s: or when its first message has waited so long.
        in_flight: batches at the sink at once.
        held_messages: messages received or asked for, and not settled; above, nothing is pulled.
        held_bytes: the same in bytes of the messages received.
        ack_wait_s: the server delivers again what it heard nothing of for so long.
        hold_s: how long a batch is kept when the sink fails, before it is given back.
    """

    batch_messages: int
    batch_bytes: int
    batch_s: float
    in_flight: int
    held_messages: int
    held_bytes: int
    ack_wait_s: float
    hold_s: float

    @property
    def progress_s(self) -> float:
        """The interval of the signals that work on a message goes on."""
        return self.ack_wait_s / 3

    @property
    def max_ack_pending(self) -> int:
        """The consumer's bound on unsettled messages, shared by all replicas."""
        return self.held_messages * _REPLICAS


def limits_of(settings: Settings) -> Limits:
    """Return the bounds that the settings ask for."""
    batches = settings.bridge_batches_in_flight + _WAITING_BATCHES
    return Limits(
        batch_messages=settings.bridge_batch_messages,
        batch_bytes=settings.bridge_batch_bytes,
        batch_s=settings.bridge_batch_ms / 1000,
        in_flight=settings.bridge_batches_in_flight,
        held_messages=batches * settings.bridge_batch_messages + PULL_REQUESTS * PULL_MESSAGES,
        held_bytes=batches * settings.bridge_batch_bytes,
        ack_wait_s=settings.nats_ack_wait_seconds,
        hold_s=2 * settings.nats_ack_wait_seconds,
    )
