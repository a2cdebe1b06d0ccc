"""Cold start of every function: from the start of its process to its first 200, as a multiple of a bare application.

The processes are those of the image: ``python -m common.host``, bytecode compiled. Each start is followed by one of the
floor, and the median of their ratios counts. A function keeps its data folder from round to round, as a store outlives
the processes that use it.
"""

import compileall
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.analytics.calculators.deviation import DEVIATION
from common.analytics.calculators.regime_model import REGIME_MODEL
from common.analytics.calculators.seasonality import SEASONALITY
from common.analytics.metrics import METRICS
from infra.local.ports import LOOPBACK, free_ports
from tests.bench.processes import resident_memory_mib
from tests.bench.report import Figure, paired

ROOT: Final = Path(__file__).resolve().parents[2]
ROUNDS: Final = 5
POLL_S: Final = 0.001
DEADLINE_S: Final = 30.0
# Variables that change what a process loads or where it looks; a measurement must not depend on the shell's.
_FOREIGN: Final = ("PETROSA_", "NATS_", "MONGODB_", "MYSQL_", "BRIDGE_", "OTEL_", "K_", "PYTHON", "COV_")

_HEAVY: Final = frozenset({REGIME_MODEL.name, "anomaly"})  # they fit models
_SCIPY: Final = frozenset({DEVIATION.name, SEASONALITY.name})
_ROUTE_GROUP_PREFIX: Final = "api_"


@dataclass(frozen=True, slots=True)
class Limit:
    """The budget of a kind of function: multiple of the floor, and memory at rest."""

    ratio: float
    memory_mib: float


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until each of the two probes was answered 200, and memory then."""

    healthz_s: float
    readyz_s: float
    memory_mib: float


def measure() -> list[Figure]:
    """Start every function several times, each time beside the floor, and return its start and its memory at rest."""
    for package in ("common", "functions", "tests/bench"):
        compileall.compile_dir(ROOT / package, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        programs = {name: _function(name, Path(folder) / name) for name in _functions()}
        for program in (_floor(), *programs.values()):
            program.start()  # fills the caches of the disk, and makes the data folder
        starts: dict[str, list[tuple[Start, Start]]] = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, program in programs.items():
                starts[name].append((program.start(), _floor().start()))
    return [figure for name, runs in starts.items() for figure in _figures(name, runs)]


def _figures(name: str, runs: Sequence[tuple[Start, Start]]) -> Iterator[Figure]:
    limit = limit_of(name)
    ready = paired([(run.readyz_s * 1000, floor.readyz_s * 1000) for run, floor in runs])
    alive = paired([(run.healthz_s * 1000, floor.readyz_s * 1000) for run, floor in runs])
    memory = max(run.memory_mib for run, _ in runs)
    text = f"<= {limit.ratio:g} x bare ASGI"
    holds = ready.ratio <= limit.ratio
    yield Figure(f"cold start {name}", ready.value, "ms to /readyz", text, holds, ready.floor, ready.ratio)
    yield Figure(f"cold start {name}, alive", alive.value, "ms to /healthz", "", True, alive.floor, alive.ratio)
    yield Figure(f"memory {name}", memory, "MiB at rest", f"< {limit.memory_mib:g}", memory < limit.memory_mib)


def limit_of(name: str) -> Limit:
    """Return the budget of a function."""
    if name in _HEAVY:
        return Limit(ratio=15, memory_mib=300)
    if name in _SCIPY:
        return Limit(ratio=8, memory_mib=160)
    if name.startswith(_ROUTE_GROUP_PREFIX):
        return Limit(ratio=5, memory_mib=128)
    return Limit(ratio=3.5 if name in METRICS else 3, memory_mib=128)


def _functions() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))


@dataclass(frozen=True, slots=True)
class _Program:
    """What is started. The port stands in its environment, and in place of ``{port}`` in its arguments."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    def start(self) -> Start:
        """Start it, wait for both probes, and end it."""
        [port] = free_ports(1)
        with self._running(port) as (process, begun):
            healthz_s = _seconds_until_200(process, port, "/healthz", begun)
            readyz_s = _seconds_until_200(process, port, "/readyz", begun)
            return Start(healthz_s, readyz_s, resident_memory_mib(process.pid))

    @contextmanager
    def _running(self, port: int) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
        arguments = [sys.executable, *(argument.format(port=port) for argument in self.arguments)]
        environment = {**self.environment, "PORT": str(port)}
        begun = time.perf_counter()
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        try:
            yield process, begun
        finally:
            process.terminate()
            process.wait()


def _floor() -> _Program:
    return _Program(("-m", "tests.bench.bare_asgi", "{port}"), _environment())


def _function(name: str, folder: Path) -> _Program:
    own = {
        "FUNCTION_TARGET": name,
        "FUNCTION_SOURCE": f"functions/{name}/main.py",
        "PETROSA_DATA_DIR": str(folder),
    }
    return _Program(("-m", "common.host"), _environment() | own)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def _seconds_until_200(process: subprocess.Popen[bytes], port: int, path: str, begun: float) -> float:
    """Ask again and again, over raw connections: a client library would take CPU from the process that starts."""
    while (elapsed_s := time.perf_counter() - begun) < DEADLINE_S:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode} before it answered")
        if _status(port, path) == 200:
            return time.perf_counter() - begun
        time.sleep(POLL_S)
    raise RuntimeError(f"{process.args!r} did not answer {path} with 200 within {elapsed_s:.0f} s")


def _status(port: int, path: str) -> int | None:
    request = f"GET {path} HTTP/1.1\r\nhost: {LOOPBACK}\r\nconnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((LOOPBACK, port), timeout=DEADLINE_S) as connection:
            connection.sendall(request)
            head = connection.recv(64)
    except OSError:
        return None
    return int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else None
