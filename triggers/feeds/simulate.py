"""Publishes a simulated market: what is missing of its past first, then its present at the real rate."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from common.clock import Clock
from common.timeframes import Timeframe
from common.times import MINUTE_MS, SECOND_MS
from triggers.feeds.market.exchange import Exchange
from triggers.feeds.market.history import History
from triggers.feeds.market.live import Cadence, LiveMarket
from triggers.feeds.market.messages import MarketMessage
from triggers.feeds.market.pairs import pairs_named
from triggers.feeds.publisher import MessageSink
from triggers.feeds.simulation_state import Phase, Position, Progress, SimulationState

log = logging.getLogger(__name__)

_STEP_S: Final = 0.1
_SAVE_EVERY_MS: Final = SECOND_MS
_TURN_EVERY: Final = 500
# A pause up to this length is published in full; after a longer one, its closed candles and funding rates.
_CATCH_UP_MS: Final = 10 * MINUTE_MS


@dataclass(frozen=True)
class SimulationPlan:
    """What to simulate.

    Attributes:
        seed: of the market.
        pairs: names of the pairs.
        timeframes: of the candles.
        market: ``um``, or ``spot``, which has neither mark prices nor funding.
        rate: how many times the ordinary cadence of books, tickers, mark prices and open candles.
        history: whether the past is published.
    """

    seed: int
    pairs: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    market: str = "um"
    rate: float = 1.0
    history: bool = True


class Simulation:
    """One run. ``phase``, ``published`` and ``total`` may be read at any time.

    Raises:
        ConfigurationError: a pair is unknown.
        StateMismatch: the state folder is that of another simulated market.
    """

    def __init__(self, plan: SimulationPlan, publisher: MessageSink, clock: Clock, state: SimulationState) -> None:
        self.phase: Phase = "history"
        self.published = 0
        self.total = 0
        self._plan = plan
        self._publisher = publisher
        self._clock = clock
        self._state = state
        self._position = state.load(plan.seed, plan.market)
        self._exchange = Exchange(plan.seed, pairs_named(plan.pairs))
        self._with_funding = plan.market == "um"
        cadence = Cadence.at_rate(plan.rate, len(plan.pairs))
        self._live = LiveMarket(self._exchange, plan.timeframes, cadence, with_funding=self._with_funding)

    async def run(self, stop: asyncio.Event, on_progress: Callable[[], None] = lambda: None) -> None:
        """Publish until stopped. What was published is acknowledged when the position says so.

        Raises:
            ConfigurationError: the stream refuses what is published.
        """
        while not stop.is_set():
            now_ms = self._clock.now_ms()
            since = {pair: until for pair, until in self._position.until_ms.items() if until <= now_ms}
            if await self._publish_past(since, now_ms, stop, on_progress):
                await self._publish_present(self._resume_at(since, now_ms), stop, on_progress)

    async def _publish_past(
        self, since: dict[str, int], now_ms: int, stop: asyncio.Event, on_progress: Callable[[], None]
    ) -> bool:
        """Publish what is missing before now; returns whether that was not stopped."""
        self.phase = "history"
        past = History(self._exchange, self._plan.timeframes, since, now_ms, with_funding=self._with_funding)
        self.total = self.published + len(past) if self._plan.history else self.published
        self._show(min(since.values(), default=0))
        if self._plan.history:
            for number, message in enumerate(past.messages()):
                await self._publish(message)
                if number % _TURN_EVERY == 0:
                    on_progress()
                    await asyncio.sleep(0)
                    if stop.is_set():
                        return False
            await self._publisher.flush()
            log.info("history published", extra={"count": len(past)})
        on_progress()
        return True

    def _resume_at(self, since: dict[str, int], now_ms: int) -> int:
        """Return where the present begins: where it ended, after a short pause, else with the running minute."""
        minute_ms = now_ms - now_ms % MINUTE_MS
        ended_ms = min((since.get(pair, 0) for pair in self._plan.pairs), default=0)
        return ended_ms if now_ms - ended_ms <= _CATCH_UP_MS else minute_ms - 1

    async def _publish_present(self, cursor: int, stop: asyncio.Event, on_progress: Callable[[], None]) -> None:
        """Publish events as they happen, until stopped or left too far behind."""
        saved_ms = 0
        while not stop.is_set():
            now_ms = self._clock.now_ms()
            if now_ms - cursor > _CATCH_UP_MS + MINUTE_MS:
                log.warning("the feed fell behind", extra={"milliseconds": now_ms - cursor})
                return
            for message in self._live.events(cursor, now_ms):
                await self._publish(message)
            cursor = max(cursor, now_ms)
            if now_ms - saved_ms >= _SAVE_EVERY_MS:
                saved_ms = now_ms
                await self._save(cursor)
                on_progress()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _STEP_S)
        await self._save(cursor)

    async def _save(self, until_ms: int) -> None:
        await self._publisher.flush()
        self.phase = "live"
        # A pair whose past was never published keeps that for a later run.
        pairs = self._plan.pairs if self._plan.history else self._position.until_ms
        until = self._position.until_ms | dict.fromkeys(pairs, until_ms)
        self._position = Position(self._plan.seed, self._plan.market, until)
        self._state.save(self._position)
        self._show(until_ms)

    def _show(self, until_ms: int) -> None:
        self._state.show(Progress(self.phase, self.published, self.total, until_ms))

    async def _publish(self, message: MarketMessage) -> None:
        await self._publisher.publish(*message.encoded())
        self.published += 1
