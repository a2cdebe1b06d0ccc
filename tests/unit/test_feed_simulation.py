"""Running a simulation: the past once, then the present; what its state folder says of it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.clock import FixedClock
from common.errors import ConfigurationError, StateMismatch
from common.timeframes import Timeframe
from common.times import DAY_MS, HOUR_MS, MINUTE_MS, parse_instant
from tests.support.feeds import MessageList
from tests.support.patience import PATIENCE_S
from triggers.feeds.simulate import Simulation, SimulationPlan
from triggers.feeds.simulation_state import SimulationState

NOW_MS = parse_instant("2025-10-20T12:34:56.700Z")
PLAN = SimulationPlan(seed=1, pairs=("BTCUSDT", "ADAUSDT"), timeframes=(Timeframe.M1, Timeframe.H1, Timeframe.D1))


def feed(folder: Path, name: str = "feed.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_bytes())
    return content


def run(
    folder: Path,
    now_ms: int,
    *,
    plan: SimulationPlan = PLAN,
    sink: MessageList | None = None,
    until: Callable[[MessageList], bool] = lambda sink: sink.flushed > 0,
    jumps_ms: tuple[int, ...] = (),
) -> MessageList:
    """Run until live and ``until`` holds, moving the clock by one of ``jumps_ms`` each time that progress is told."""
    sink = sink or MessageList()
    clock, moves = FixedClock(now_ms), list(jumps_ms)

    async def main() -> None:
        stop = asyncio.Event()
        simulation = Simulation(plan, sink, clock, SimulationState(folder))

        def told() -> None:
            if simulation.phase != "live":
                return
            if moves:
                clock.advance(moves.pop(0))
            elif until(sink):
                stop.set()

        await asyncio.wait_for(simulation.run(stop, told), PATIENCE_S)

    asyncio.run(main())
    return sink


def klines(sink: MessageList, *, closed: bool = True) -> set[tuple[str, str, int]]:
    bodies = [event["k"] for event in sink.events() if event["e"] == "kline"]
    return {(body["s"], body["i"], body["t"]) for body in bodies if body["x"] is closed}


def test_the_past_comes_first_then_the_present_and_the_state_folder_tells_it(tmp_path: Path) -> None:
    sink = run(tmp_path, NOW_MS)
    assert feed(tmp_path)["phase"] == "live"
    assert feed(tmp_path)["published"] == len(sink.payloads) == sink.flushed
    assert feed(tmp_path)["published_until_ms"] == NOW_MS
    assert feed(tmp_path)["total"] == 2 * (2 * 1440 + 120 * 24 + 400 + 90)
    kinds = [event["e"] for event in sink.events()]
    assert kinds.index("trade") >= feed(tmp_path)["total"]
    first_minute = [event for event in sink.events() if event["e"] == "trade"]
    assert min(event["T"] for event in first_minute) >= NOW_MS // MINUTE_MS * MINUTE_MS
    assert max(event["T"] for event in first_minute) <= NOW_MS
    assert {event["s"] for event in first_minute} == {"BTCUSDT", "ADAUSDT"}
    assert list(tmp_path.glob("*.part")) == []


def test_a_second_start_after_hours_publishes_only_what_closed_since(tmp_path: Path) -> None:
    first, second = run(tmp_path, NOW_MS), run(tmp_path, NOW_MS + 3 * HOUR_MS)
    assert feed(tmp_path)["total"] == 2 * (180 + 3)
    opened = {t for symbol, timeframe, t in klines(second) if (symbol, timeframe) == ("BTCUSDT", "1h")}
    assert opened == {NOW_MS // HOUR_MS * HOUR_MS + hour * HOUR_MS for hour in range(3)}
    at_once = klines(run(tmp_path / "other", NOW_MS + 3 * HOUR_MS))
    assert klines(first) | klines(second) >= at_once


def test_a_start_after_a_short_pause_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    first = run(tmp_path, NOW_MS)
    second = run(tmp_path, NOW_MS + 3 * MINUTE_MS)
    ids = [
        sorted(event["t"] for event in sink.events() if event["e"] == "trade" and event["s"] == "BTCUSDT")
        for sink in (first, second)
    ]
    assert ids[1][0] == ids[0][-1] + 1
    assert ids[1] == list(range(ids[1][0], ids[1][-1] + 1))


def test_the_present_follows_the_clock(tmp_path: Path) -> None:
    sink = run(tmp_path, NOW_MS, jumps_ms=(2_000, 2_000))
    times = [event["E"] for event in sink.events() if event["e"] == "depthUpdate" and event["s"] == "BTCUSDT"]
    assert max(times) > NOW_MS + 3_500
    assert len(sink.ids) - len(set(sink.ids)) < 10  # candles that closed within the running minute


def test_a_feed_that_fell_far_behind_takes_the_candles_and_goes_on_from_now(tmp_path: Path) -> None:
    sink = run(tmp_path, NOW_MS, jumps_ms=(2 * HOUR_MS,))
    later = NOW_MS + 2 * HOUR_MS
    minutes = {t for symbol, timeframe, t in klines(sink) if (symbol, timeframe) == ("BTCUSDT", "1m")}
    assert minutes >= set(range(NOW_MS // MINUTE_MS * MINUTE_MS, later // MINUTE_MS * MINUTE_MS, MINUTE_MS))
    traded = [event["T"] for event in sink.events() if event["e"] == "trade"]
    assert not [time for time in traded if NOW_MS < time < later // MINUTE_MS * MINUTE_MS]
    assert max(traded) > later - MINUTE_MS


def test_a_stop_within_the_past_forgets_nothing(tmp_path: Path) -> None:
    sink = MessageList()

    async def main() -> None:
        stop = asyncio.Event()
        simulation = Simulation(PLAN, sink, FixedClock(NOW_MS), SimulationState(tmp_path))
        await simulation.run(stop, stop.set)

    asyncio.run(main())
    assert 0 < len(sink.payloads) < 2_000
    assert feed(tmp_path)["phase"] == "history"
    whole = run(tmp_path, NOW_MS)
    assert set(whole.ids) >= set(sink.ids)
    assert feed(tmp_path)["total"] == 2 * (2 * 1440 + 120 * 24 + 400 + 90)


def test_without_history_only_the_present_is_published_and_the_past_is_kept_for_later(tmp_path: Path) -> None:
    plan = SimulationPlan(1, PLAN.pairs, PLAN.timeframes, history=False)
    assert len(run(tmp_path, NOW_MS, plan=plan).payloads) < 2_000
    assert len(run(tmp_path, NOW_MS).payloads) > 10_000


def test_spot_has_neither_mark_prices_nor_funding(tmp_path: Path) -> None:
    plan = SimulationPlan(1, PLAN.pairs, PLAN.timeframes, market="spot")
    kinds = {event["e"] for event in run(tmp_path, NOW_MS, plan=plan).events()}
    assert kinds == {"kline", "trade", "24hrTicker", "depthUpdate"}


def test_a_clock_set_back_publishes_its_own_past(tmp_path: Path) -> None:
    run(tmp_path, NOW_MS)
    earlier = run(tmp_path, NOW_MS - 30 * DAY_MS)
    assert len(earlier.payloads) > 10_000


def test_the_folder_of_another_market_is_refused(tmp_path: Path) -> None:
    run(tmp_path, NOW_MS)
    with pytest.raises(StateMismatch, match="--seed 1"):
        run(tmp_path, NOW_MS, plan=SimulationPlan(2, PLAN.pairs, PLAN.timeframes))
    with pytest.raises(StateMismatch, match="choose another folder"):
        run(tmp_path, NOW_MS, plan=SimulationPlan(1, PLAN.pairs, PLAN.timeframes, market="spot"))


def test_a_damaged_memory_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "simulation.json").write_text("{half")
    assert len(run(tmp_path, NOW_MS).payloads) > 10_000


def test_an_unknown_pair_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="BTCUSDT, ETHUSDT"):
        run(tmp_path, NOW_MS, plan=SimulationPlan(1, ("XYZUSDT",), PLAN.timeframes))


@pytest.mark.parametrize("rate", [0.5, 1.0, 5.0])
def test_the_rate_changes_how_often_states_are_published_but_not_the_trades(tmp_path: Path, rate: float) -> None:
    plan = SimulationPlan(1, PLAN.pairs, PLAN.timeframes, rate=rate, history=False)
    start = NOW_MS // MINUTE_MS * MINUTE_MS + MINUTE_MS
    sink = run(tmp_path, start - 1, plan=plan, jumps_ms=(20_000,))
    counted = [event["e"] for event in sink.events() if start <= event["E"] < start + 19_000]
    assert counted.count("24hrTicker") == pytest.approx(2 * 19 * rate, abs=2 * rate + 1)
    trades = {event["t"] for event in sink.events() if event["e"] == "trade"}
    ordinary = {event["t"] for event in run(tmp_path, start - 1, jumps_ms=(20_000,)).events() if event["e"] == "trade"}
    assert trades == ordinary
