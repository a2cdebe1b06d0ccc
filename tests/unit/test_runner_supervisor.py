"""Supervision with real processes: restarts, pauses, bounds, and nothing left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from infra.local import waiting
from infra.local.manifests.model import HttpProbe
from infra.local.runner.checks import Check, Probe
from infra.local.runner.supervisor import Part, PartFailed, PartSpec, PartState, pause_before_restart_s
from tests.support.patience import PATIENCE_S

SLEEPER = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def spec(folder: Path, code: str, **settings: object) -> PartSpec:
    values: dict[str, object] = {
        "name": "part",
        "command": (sys.executable, "-c", code),
        "environment": dict(os.environ),
        "log": folder / "part.log",
        **settings,
    }
    return PartSpec(**values)  # type: ignore[arg-type]


def supervised(part_spec: PartSpec, check: Callable[[Part, list[PartState]], Awaitable[None]]) -> Part:
    """Start a part, run ``check`` on it and stop it."""
    states: list[PartState] = []
    part = Part(part_spec, lambda changed: states.append(changed.state))

    async def body() -> None:
        try:
            await part.start(timeout_s=10)
            await check(part, states)
        finally:
            await part.stop()

    asyncio.run(body())
    return part


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    async with asyncio.timeout(PATIENCE_S):
        await waiting.until(holds, every_s=0.01)


def test_a_killed_part_is_back_at_once_with_another_process(tmp_path: Path) -> None:
    async def check(part: Part, states: list[PartState]) -> None:
        first = part.pid
        assert first is not None
        killed_s = time.monotonic()
        os.kill(first, signal.SIGKILL)
        await until(lambda: part.restarts == 1 and part.state is PartState.READY)
        assert time.monotonic() - killed_s < 5, "it waited as after several quick deaths"
        assert part.pid != first
        assert part.last_exit == -signal.SIGKILL

    part = supervised(spec(tmp_path, SLEEPER), check)
    assert part.state is PartState.STOPPED
    assert part.pid is None


def test_pauses_grow_only_with_quick_deaths_and_stay_bounded() -> None:
    pauses = [pause_before_restart_s(deaths) for deaths in range(12)]
    assert pauses[:2] == [0, 0]
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert max(pauses) == 5


def test_a_part_that_never_becomes_ready_fails_the_start_with_the_end_of_its_log(tmp_path: Path) -> None:
    async def check(part: Part, states: list[PartState]) -> None:
        raise AssertionError("the start must fail")

    broken = spec(tmp_path, "raise SystemExit('PETROSA_MARKET is wrong')", ready=never)
    with pytest.raises(PartFailed, match="PETROSA_MARKET is wrong"):
        supervised(broken, check)


def test_a_part_whose_configuration_is_wrong_is_not_tried_again(tmp_path: Path) -> None:
    async def check(part: Part, states: list[PartState]) -> None:
        raise AssertionError("the start must fail")

    wrong = spec(tmp_path, "import sys; print('started'); sys.exit(2)", ready=never)
    with pytest.raises(PartFailed):
        supervised(wrong, check)
    assert (tmp_path / "part.log").read_text().count("started") == 1


async def never() -> bool:
    return False


def test_a_part_is_ready_when_its_check_says_so(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def marked() -> bool:
        return mark.exists()

    async def check(part: Part, states: list[PartState]) -> None:
        assert mark.exists()
        assert states[:2] == [PartState.STARTING, PartState.READY]

    code = f"import pathlib, time; time.sleep(.2); pathlib.Path({str(mark)!r}).touch(); time.sleep(60)"
    supervised(spec(tmp_path, code, ready=marked), check)


def test_a_part_that_may_end_is_left_ended(tmp_path: Path) -> None:
    async def check(part: Part, states: list[PartState]) -> None:
        await until(lambda: part.state is PartState.ENDED)
        assert part.restarts == 0

    supervised(spec(tmp_path, "pass", may_end=True), check)


def test_a_deaf_part_is_killed_within_its_bound(tmp_path: Path) -> None:
    pids: list[int] = []

    async def check(part: Part, states: list[PartState]) -> None:
        await until(lambda: "deaf" in (tmp_path / "part.log").read_text())
        assert part.pid is not None
        pids.append(part.pid)

    began_s = time.monotonic()
    supervised(spec(tmp_path, STUBBORN, stop_timeout_s=0.3), check)
    assert time.monotonic() - began_s < 30
    assert not alive(pids[0])


def test_ctrl_c_in_the_terminal_does_not_reach_the_parts(tmp_path: Path) -> None:
    async def check(part: Part, states: list[PartState]) -> None:
        assert part.pid is not None
        assert os.getpgid(part.pid) != os.getpgid(0)

    supervised(spec(tmp_path, SLEEPER), check)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_parts_die_with_a_killed_runner(tmp_path: Path) -> None:
    runner_code = textwrap.dedent(
        f"""
        import asyncio, os, sys
        from pathlib import Path
        from infra.local.runner.supervisor import Part, PartSpec

        async def main():
            part = Part(PartSpec("part", (sys.executable, "-c", {STUBBORN!r}), dict(os.environ),
                                 Path({str(tmp_path / "part.log")!r})), lambda part: None)
            await part.start()
            print(part.pid, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
        """
    )
    with subprocess.Popen([sys.executable, "-c", runner_code], stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline())
        assert alive(pid)
        runner.kill()
    deadline_s = time.monotonic() + PATIENCE_S
    while alive(pid) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not alive(pid)


def asked(ask: Probe, *, failures: int, is_vital: bool, timeout_s: float = 5) -> Check:
    pace = HttpProbe("/", period_s=0.02, timeout_s=timeout_s, failures=failures)
    return Check("part", ask, pace, is_vital)


def test_a_part_that_hangs_is_ended_by_force_and_started_again(tmp_path: Path) -> None:
    hangs = False

    async def answers() -> bool:
        if hangs:
            await asyncio.Event().wait()
        return True

    async def check(part: Part, states: list[PartState]) -> None:
        nonlocal hangs
        first = part.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        hangs = True
        await until(lambda: part.state is PartState.UNREADY)
        assert part.trouble == "liveness of part failed 3 times (threshold 3)"
        await until(lambda: part.restarts == 1)
        hangs = False
        await until(lambda: part.state is PartState.READY)
        assert part.pid != first
        assert not alive(first)
        assert part.trouble == ""

    vital = asked(answers, failures=3, is_vital=True, timeout_s=0.05)
    supervised(spec(tmp_path, SLEEPER, checks=(vital,), stop_timeout_s=0.2), check)


def test_a_part_that_would_not_serve_is_shown_and_left_running(tmp_path: Path) -> None:
    serves = True

    async def answers() -> bool:
        return serves

    async def check(part: Part, states: list[PartState]) -> None:
        nonlocal serves
        first, serves = part.pid, False
        await until(lambda: part.state is PartState.UNREADY)
        assert part.trouble.startswith("readiness of part failed")
        serves = True
        await until(lambda: part.state is PartState.READY)
        assert (part.pid, part.restarts, part.trouble) == (first, 0, "")

    supervised(spec(tmp_path, SLEEPER, checks=(asked(answers, failures=2, is_vital=False),)), check)


def test_fewer_failures_than_the_threshold_are_told_and_change_nothing(tmp_path: Path) -> None:
    answered: list[bool] = []

    async def answers() -> bool:
        answered.append(len(answered) % 3 == 2)
        return answered[-1]

    async def check(part: Part, states: list[PartState]) -> None:
        await until(lambda: len(answered) > 12)
        assert set(states) == {PartState.STARTING, PartState.READY}
        assert part.restarts == 0

    supervised(spec(tmp_path, SLEEPER, checks=(asked(answers, failures=3, is_vital=True),)), check)


def test_a_log_that_cannot_be_written_keeps_no_part_from_running(tmp_path: Path) -> None:
    async def check(part: Part, states: list[PartState]) -> None:
        assert part.pid is not None

    (tmp_path / "part.log").mkdir()
    supervised(spec(tmp_path, SLEEPER), check)
