"""The reads of the API: latency at a kept rate, and throughput beside a bare route that returns the same bytes."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from infra.local.ports import free_ports
from tests.bench.http_load import at_rate, closed_loop
from tests.bench.processes import cpu_seconds
from tests.bench.report import Figure, in_turn
from tests.support.system import System, running_system

CANDLES: Final = "/data/candles?pair={pair}&period=1h&limit=100"
ANALYSIS: Final = (
    "/analysis/volatility?pair={pair}&period=1h",
    "/analysis/volume?pair={pair}&period=1h",
    "/analysis/spread?pair={pair}",
    "/analysis/trend?pair={pair}&period=1h",
    "/analysis/deviation?pair={pair}&period=1h",
    "/analysis/seasonality?pair={pair}&period=1h",
    "/analysis/regime?pair={pair}&period=1h",
    "/analysis/correlation?pairs={pair},BTCUSDT,ETHUSDT&period=1h",
    "/analysis/market-overview",
)
PAIRS: Final = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT")
SECONDS: Final = 15
ROUNDS: Final = 15
REQUESTS: Final = 2_000  # a round


@contextmanager
def _living_system() -> Iterator[System]:
    """Run the system on the simulated market: reads are measured while rows keep arriving."""
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder) / "state", feed="simulate") as system:
        paths = [path.format(pair=pair) for pair in PAIRS for path in (CANDLES, *ANALYSIS)]
        system.wait(lambda: all(_has_data(system, path) for path in paths), "no data to read", within_s=400)
        yield system


def _has_data(system: System, path: str) -> bool:
    """Tell whether a route has something to read: its list is not empty, or its one document is there."""
    answer = system.get(path)
    return answer.status_code == 200 and answer.json().get("values") != []


def candles() -> list[Figure]:
    """Read the newest hundred candles of five pairs."""
    paths = [CANDLES.format(pair=pair) for pair in PAIRS]
    with _living_system() as system:
        port = int(system.url.rpartition(":")[2])
        load = asyncio.run(at_rate(port, paths, per_second=500, seconds=SECONDS))
        p99 = load.percentile(0.99)
        serving = system.pids[_serving(system)]
        with _bare_server(system.get(paths[0]).content) as (bare, bare_port):
            rates = in_turn(
                lambda: _requests_per_cpu_second(serving, port, paths),
                lambda: _requests_per_cpu_second(bare, bare_port, paths),
                ROUNDS,
            )
    good = load.failures == 0
    return [
        Figure("GET /data/candles, p99 at 500/s", p99, "ms", "< 10", good and p99 < 10),
        Figure(
            "GET /data/candles, throughput",
            rates.value,
            "requests/CPU-s",
            ">= 40 % of a bare route",
            rates.ratio >= 0.4,
            rates.floor,
            rates.ratio,
        ),
    ]


def analysis() -> list[Figure]:
    """Read the newest documents of five pairs."""
    paths = [path.format(pair=pair) for pair in PAIRS for path in ANALYSIS]
    with _living_system() as system:
        port = int(system.url.rpartition(":")[2])
        load = asyncio.run(at_rate(port, paths, per_second=200, seconds=SECONDS))
    p99 = load.percentile(0.99)
    return [Figure("GET /analysis, p99 at 200/s", p99, "ms", "< 10", load.failures == 0 and p99 < 10)]


def _serving(system: System) -> str:
    """Return the part that answers the single origin."""
    return "route-group" if "route-group" in system.pids else "gateway"


def _requests_per_cpu_second(pid: int, port: int, paths: list[str]) -> float:
    before = cpu_seconds([pid])
    load = asyncio.run(closed_loop(port, paths, requests=REQUESTS))
    assert load.failures == 0
    return len(load.latencies_ms) / (cpu_seconds([pid]) - before)


@contextmanager
def _bare_server(body: bytes) -> Iterator[tuple[int, int]]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        [port] = free_ports(1)
        process = subprocess.Popen([sys.executable, "-m", "tests.bench.bare_server", file.name, str(port)])
        try:
            _wait_answering(port)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait()


def _wait_answering(port: int) -> None:
    for _ in range(200):
        try:
            httpx.get(f"http://127.0.0.1:{port}/")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the bare server did not answer")
