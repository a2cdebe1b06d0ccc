"""A whole system for a test: ``petrosa run`` as a process of its own, on free ports, in a folder of its own.

::

    with running_system(tmp_path / "state", project=make_project(tmp_path / "project")) as system:
        system.get("/health/readiness")
        system.kill("bridge")
        system.wait_restarted("bridge")

On leaving, the system is stopped as Ctrl-C would, and the test fails when a process is left behind or the exit status
is not 0.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx

from infra.local.ports import free_ports
from infra.local.runner.run_record import PartRecord, RunRecord, read_record
from tests.support import freezing
from tests.support.patience import PATIENCE_S

_POLL_SECONDS: Final = 0.05
_LOG_LINES_SHOWN: Final = 15


class System:
    """A running system, as a test sees it."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        printed: Path,
        state_dir: Path,
        http_port: int,
        settings: Mapping[str, str],
    ) -> None:
        self.process = process
        self._printed = printed
        self.settings = settings
        self.state_dir = state_dir
        self.url = f"http://127.0.0.1:{http_port}"
        self.nats_url = settings.get("NATS_URL", f"nats://127.0.0.1:{settings['PETROSA_NATS_PORT']}")
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    @property
    def record(self) -> RunRecord:
        """What the runner writes down of its parts, as it is now."""
        record = read_record(self.state_dir / "run.json")
        assert record is not None, f"the system does not run:\n{self.output()}"
        return record

    @property
    def mongodb_url(self) -> str | None:
        """Where the market data are, with the account that the test gave; None for files."""
        return self.settings.get("MONGODB_URL", self.record.mongodb_url)

    def part(self, name: str) -> PartRecord:
        """Return what is known of a part."""
        return self.record.parts[name]

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of all parts that run now, by name."""
        return {name: part.pid for name, part in self.record.parts.items() if part.pid is not None}

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a part and return its process id."""
        pid = self._pid(part)
        os.kill(pid, number)
        return pid

    def freeze(self, part: str) -> None:
        """Stop a part where it stands, and return when nothing of it runs."""
        freezing.freeze(self._pid(part))

    def thaw(self, part: str) -> None:
        """Let a frozen part go on."""
        freezing.thaw(self._pid(part))

    def wait_restarted(self, part: str, *, times: int = 1) -> None:
        """Wait until a part has been started again so often and is ready."""

        def restarted() -> bool:
            now = self.part(part)
            return now.restarts >= times and now.state == "ready"

        self.wait(restarted, f"{part} did not come back")

    def wait(
        self, condition: Callable[[], bool], otherwise: str = "it did not happen", *, within_s: float = PATIENCE_S
    ) -> None:
        """Wait until a condition holds."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            assert self.process.poll() is None, f"the runner has ended:\n{self.output()}"
            assert time.monotonic() < deadline_s, f"{otherwise} within {within_s} s\n{self.diagnosis()}"
            time.sleep(_POLL_SECONDS)

    def diagnosis(self) -> str:
        """Return the state of every part and the end of its log, for the report of a failed test."""
        parts = self.record.parts.items()
        states = [f"{name}: {part.state}, pid {part.pid}, {part.restarts} restarts" for name, part in parts]
        logs = [
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])
            for path in sorted((self.state_dir / "logs").glob("*"))
        ]
        return "\n".join([*states, *logs])

    def get(self, path: str) -> httpx.Response:
        """Ask the single origin."""
        return self.client.get(path)

    def is_ready(self) -> bool:
        """Tell whether the runner has seen the whole system ready."""
        record = read_record(self.state_dir / "run.json")
        return record is not None and record.ready

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop the system and return the exit status of the runner."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def output(self) -> str:
        """Return what the runner has printed so far."""
        return self._printed.read_text()

    def _pid(self, part: str) -> int:
        pid = self.part(part).pid
        assert pid is not None, f"{part} does not run"
        return pid

    def left_behind(self) -> dict[int, str]:
        """Return processes of this system that still run: process id → command line."""
        return processes_of(self.state_dir)


@contextlib.contextmanager
def running_system(
    state_dir: Path,
    *,
    project: Path | None = None,
    feed: str = "none",
    isolate: bool = False,
    environment: Mapping[str, str] | None = None,
    http_port: int | None = None,
    nats_port: int | None = None,
) -> Iterator[System]:
    """Run a system for the length of a ``with`` block.

    Args:
        state_dir: its state folder; give the same one again to go on where an earlier system ended.
        project: the folder with its functions and manifests; the product's own without it.
        feed: ``none`` or ``simulate``.
        isolate: whether every function has a process of its own.
        environment: further settings.
        http_port: a free one without it.
        nats_port: a free one without it.
    """
    free = free_ports(2)
    http_port, nats_port = http_port or free[0], nats_port or free[1]
    settings = {
        "PETROSA_HTTP_PORT": str(http_port),
        "PETROSA_NATS_PORT": str(nats_port),
        "PETROSA_DATA_DIR": str(state_dir),
        "STORES": "embedded",
        **(environment or {}),
    }
    command = [sys.executable, "-m", "infra.cli.main", "run", "--feed", feed]
    command += ["--isolate"] if isolate else []
    command += ["--project", str(project)] if project else []
    with tempfile.NamedTemporaryFile(prefix="runner-", suffix=".log") as printed:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=printed, stderr=subprocess.STDOUT)
        yield from _until_ended(System(process, Path(printed.name), state_dir, http_port, settings))


def _until_ended(system: System) -> Iterator[System]:
    """Give a system when it is ready, and take it down: in order after a good test, by force after a failed one."""
    process = system.process
    try:
        system.wait(system.is_ready, "the system was not ready")
        yield system
        if process.returncode is None:
            status = system.stop()
            assert status == 0, f"the runner ended with status {status}:\n{system.output()}"
        left = system.left_behind()
        assert not left, f"processes were left behind: {left}"
    finally:
        system.client.close()
        if process.poll() is None:
            process.kill()  # its parts end with it
            process.wait()


def processes_of(state_dir: Path) -> dict[int, str]:
    """Return the parts of a system that still run: process id → command line (Linux only, nothing elsewhere)."""
    mark = f"PETROSA_DATA_DIR={state_dir.absolute()}\0".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or not ours
            environment = (folder / "environ").read_bytes() + b"\0"
            command = (folder / "cmdline").read_bytes()
            if mark in environment and command:
                found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found
