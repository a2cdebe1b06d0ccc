"""The state of every component, each really asked, all at once, none longer than the bound."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Final

from common.errors import TemporaryError
from common.times import SECOND_MS
from functions.api_health.models import State
from functions.api_health.resources import Resources

ANSWER_TIMEOUT_S: Final = 2.0
# A cycle may start late and take its time; two intervals without one is a cycle missed.
_INTERVALS: Final = 2


async def component_states(resources: Resources, *, timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, State]:
    """Return the state of each component by name.

    Args:
        resources: whom to ask.
        timeout_s: what has not answered by then is unhealthy; a cycle whose age cannot be read is unknown.
    """
    settings = resources.settings
    nats, market, metadata, auditor, analytics = await asyncio.gather(
        _state(_bridge(resources), timeout_s, State.UNHEALTHY),
        _state(_market_store(resources), timeout_s, State.UNHEALTHY),
        _state(_metadata_store(resources), timeout_s, State.UNHEALTHY),
        _state(_auditor(resources), timeout_s, State.UNKNOWN),
        _state(_analytics(resources), timeout_s, State.UNKNOWN),
    )
    return {
        "nats": nats,
        "mysql": metadata if settings.mysql_url else State.NOT_CONFIGURED,
        "mongodb": market if settings.mongodb_address else State.NOT_CONFIGURED,
        "market_store": market,
        "metadata_store": metadata,
        "auditor": auditor,
        "analytics": analytics,
    }


def status_of(states: Mapping[str, State]) -> State:
    """Return the state of the system: unhealthy or degraded when one of its components is, else healthy."""
    found = states.values()
    return next((worse for worse in (State.UNHEALTHY, State.DEGRADED) if worse in found), State.HEALTHY)


async def _state(answer: Awaitable[State], timeout_s: float, otherwise: State) -> State:
    try:
        async with asyncio.timeout(timeout_s):
            return await answer
    except (TemporaryError, TimeoutError):
        return otherwise


async def _bridge(resources: Resources) -> State:
    return State.HEALTHY if await resources.bridge.is_ready() else State.UNHEALTHY


async def _market_store(resources: Resources) -> State:
    await resources.market.ping(write=True)
    return State.HEALTHY


async def _metadata_store(resources: Resources) -> State:
    await (await resources.metadata.open()).ping(write=True)
    return State.HEALTHY


async def _auditor(resources: Resources) -> State:
    if not resources.settings.enable_auditor:
        return State.NOT_CONFIGURED
    newest = await (await resources.metadata.open()).latest_health()
    newest_ms = max((metric.time_ms for metric in newest), default=None)
    return _cycle_state(newest_ms, resources.clock.now_ms(), resources.settings.audit_interval)


async def _analytics(resources: Resources) -> State:
    if not resources.settings.enable_analytics:
        return State.NOT_CONFIGURED
    newest_ms = await resources.analytics.newest_computed_at()
    return _cycle_state(newest_ms, resources.clock.now_ms(), resources.settings.analytics_interval)


def _cycle_state(newest_ms: int | None, now_ms: int, interval_s: int) -> State:
    if newest_ms is None:
        return State.UNKNOWN
    return State.HEALTHY if now_ms - newest_ms < _INTERVALS * interval_s * SECOND_MS else State.DEGRADED
