"""Load on one HTTP server: a rate that is kept (latency) or as much as it takes (throughput), on raw connections.

A client library would cost more CPU than the server under test; this one writes a ready request and finds the end of
the answer by its content length.
"""

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What was seen: latencies in milliseconds, sorted; answers that were not 200."""

    latencies_ms: list[float]
    failures: int
    seconds: float

    def percentile(self, share: float) -> float:
        """Return the latency below which ``share`` of the requests stayed."""
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(len(self.latencies_ms) * share))]

    @property
    def rate(self) -> float:
        """Return the requests per second."""
        return len(self.latencies_ms) / self.seconds


class Connection:
    """One kept-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect."""
        return cls(*await asyncio.open_connection(host, port))

    async def get(self, request: bytes) -> tuple[int, bytes]:
        """Send a ready request and return status and body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Disconnect."""
        self._writer.close()


def request_bytes(path: str, port: int) -> bytes:
    """Return a ready GET request."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: application/json\r\n\r\n".encode()


async def at_rate(port: int, paths: list[str], *, per_second: float, seconds: float, connections: int = 16) -> Load:
    """Send requests on a fixed schedule; the latency counts from when a request was due, not from when it was sent."""
    requests = [request_bytes(path, port) for path in paths]
    pool: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        pool.put_nowait(await Connection.open("127.0.0.1", port))
    latencies: list[float] = []
    failures = 0
    begun = time.perf_counter()

    async def one(number: int, due: float) -> None:
        nonlocal failures
        connection = await pool.get()
        status, _ = await connection.get(requests[number % len(requests)])
        latencies.append((time.perf_counter() - due) * 1000)
        failures += status != 200
        pool.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * seconds)):
            due = begun + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    elapsed = time.perf_counter() - begun
    while not pool.empty():
        pool.get_nowait().close()
    return Load(sorted(latencies), failures, elapsed)


async def closed_loop(port: int, paths: list[str], *, requests: int, connections: int = 16) -> Load:
    """Send as fast as the answers come, over a fixed number of connections."""
    ready = [request_bytes(path, port) for path in paths]
    latencies: list[float] = []
    failures = 0
    begun = time.perf_counter()

    async def worker(share: int, offset: int) -> None:
        nonlocal failures
        connection = await Connection.open("127.0.0.1", port)
        for number in range(share):
            sent = time.perf_counter()
            status, _ = await connection.get(ready[(number + offset) % len(ready)])
            latencies.append((time.perf_counter() - sent) * 1000)
            failures += status != 200
        connection.close()

    async with asyncio.TaskGroup() as group:
        for index in range(connections):
            group.create_task(worker(requests // connections, index))
    return Load(sorted(latencies), failures, time.perf_counter() - begun)
