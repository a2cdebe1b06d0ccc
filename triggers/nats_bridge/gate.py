"""Whether the sink takes batches: open at full rate, or shut with one batch at a time to find out."""

from collections.abc import Callable

from triggers.nats_bridge.backoff import Backoff


class Gate:
    """Remembers how the sink answered last. Pure: the time is passed in.

    While the sink fails, one batch is sent as a probe after each delay; the first batch it takes opens the gate.
    """

    def __init__(self, backoff: Backoff, jitter: Callable[[], float]) -> None:
        self._backoff = backoff
        self._jitter = jitter
        self._probing = False
        self.failures = 0
        self.shut_since_s: float | None = None
        self.next_probe_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the sink took the last batch, or was never asked."""
        return self.failures == 0

    def admits(self, now_s: float) -> bool:
        """Tell whether one more batch may be sent now."""
        return self.is_open or (not self._probing and now_s >= self.next_probe_s)

    def sent(self) -> None:
        """Note that a batch was sent: while the gate is shut it is the probe."""
        self._probing = not self.is_open

    def succeeded(self) -> None:
        """Open: the sink answered in earnest."""
        self.failures = 0
        self._probing = False
        self.shut_since_s = None

    def returned(self) -> None:
        """Note that a batch came back, whether or not the sink was asked: the next probe may go."""
        self._probing = False

    def failed(self, now_s: float) -> None:
        """Shut, and plan the next probe. Of batches that fail together only the first one counts."""
        if not self.is_open and not self._probing:
            return
        self.failures += 1
        self._probing = False
        self.shut_since_s = now_s if self.shut_since_s is None else self.shut_since_s
        self.next_probe_s = now_s + self._backoff.delay_s(self.failures, self._jitter())
