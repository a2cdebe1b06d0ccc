"""How long to wait before something is tried again."""

from dataclasses import dataclass
from typing import Final

_LARGEST_EXPONENT: Final = 30
_JITTER_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from ``first_s`` up to ``cap_s`` seconds."""

    first_s: float
    cap_s: float

    def delay_s(self, failures: int, jitter: float = 0.0) -> float:
        """Return the wait after so many failures in a row.

        Args:
            failures: at least 1.
            jitter: from 0 to 1; shortens the wait by up to a fifth, so that replicas do not knock together.
        """
        grown = self.first_s * 2.0 ** min(max(failures, 1) - 1, _LARGEST_EXPONENT)
        return min(grown, self.cap_s) * (1.0 - _JITTER_SHARE * jitter)


# A sink that was away is found again within two seconds of its return.
SINK: Final = Backoff(first_s=0.1, cap_s=2.0)
# A message that was given back comes again later each time: `failures` is the number of its deliveries.
REDELIVERY: Final = Backoff(first_s=1.0, cap_s=30.0)
# Asking the server for streams and consumer again.
SERVER: Final = Backoff(first_s=0.2, cap_s=2.0)
