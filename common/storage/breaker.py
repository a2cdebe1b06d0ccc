"""Calls to a store through a circuit breaker: a store that keeps failing is left alone for a while.

After a number of ``StoreUnavailable`` in a row the circuit opens: calls fail at once, with the seconds until the next
attempt. Then calls pass again, and the first outcome decides. A ping always passes, so a readiness probe that finds
the store working again closes the circuit early.
"""

import copy
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, ParamSpec, TypeVar

from circuitbreaker import CircuitBreaker
from prometheus_client import Gauge

from common.errors import StoreUnavailable

log = logging.getLogger(__name__)

STATE: Final = Gauge("circuit_breaker_state", "1 while calls to the store are refused, else 0", ["component"])

# Closing must always be possible.
_UNGUARDED: Final = frozenset({"close"})

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class Breaker:
    """The circuit of one store.

    Args:
        name: what the store is called in logs, errors and metrics.
        failure_threshold: failures in a row after which the circuit opens.
        recovery_timeout_s: seconds until it lets a call pass again.
    """

    def __init__(self, name: str, *, failure_threshold: int, recovery_timeout_s: int) -> None:
        self.name = name
        self._circuit: Any = CircuitBreaker(
            failure_threshold=failure_threshold,
            recovery_timeout=recovery_timeout_s,
            expected_exception=StoreUnavailable,
            name=name,
        )
        self._is_open = False
        STATE.labels(name).set(0)

    def guard(self, method: Callable[P, Awaitable[R]], *, always: bool = False) -> Callable[P, Awaitable[R]]:
        """Return ``method`` with the circuit in front of it.

        Args:
            method: an asynchronous method of the store.
            always: let calls pass while the circuit is open too.
        """

        @functools.wraps(method)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if self._circuit.opened and not always:
                raise self._refusal()
            try:
                result = await method(*args, **kwargs)
            except StoreUnavailable as error:
                self._count_failure(error)
                raise
            self._circuit.reset()
            self._report()
            return result

        return guarded

    def _count_failure(self, error: StoreUnavailable) -> None:
        # Only this error is shown to the circuit: a cancelled call or a bug says nothing about the store.
        with suppress(StoreUnavailable), self._circuit:
            raise error
        self._report()

    def _refusal(self) -> StoreUnavailable:
        wait_s = max(1, self._circuit.open_remaining)
        return StoreUnavailable(
            f"{self.name} was left alone after repeated failures, the last: {self._circuit.last_failure}",
            retry_after_s=wait_s,
        )

    def _report(self) -> None:
        is_open = not self._circuit.closed
        if is_open == self._is_open:
            return
        self._is_open = is_open
        STATE.labels(self.name).set(is_open)
        if is_open:
            extra = {"store": self.name, "error": str(self._circuit.last_failure)}
            log.warning("circuit opened: the store keeps failing", extra=extra)
        else:
            log.info("circuit closed: the store works again", extra={"store": self.name})


def guarded(store: S, breaker: Breaker) -> S:
    """Return a front of ``store``: the same type, its asynchronous methods behind ``breaker``.

    All of them run on the store itself, so what they call of each other is not guarded once more. ``close`` passes
    freely, and so do the methods that the store names in ``never_waits``.
    """
    front = copy.copy(store)
    unguarded = _UNGUARDED.union(getattr(store, "never_waits", ()))
    for name, method in inspect.getmembers(store, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            free = name in unguarded
            setattr(front, name, method if free else breaker.guard(method, always=name == "ping"))
    return front
