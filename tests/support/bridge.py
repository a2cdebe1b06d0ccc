"""The NATS bridge as a process of its own, and the small things that its tests ask of a NATS server."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from prometheus_client.parser import text_string_to_metric_families

from tests.support.nats import NatsServer, free_port
from tests.support.patience import PATIENCE_S
from tests.support.sink import HttpSink

SUBJECT: Final = "binance.futures.websocket.data"
STREAM: Final = "PETROSA_MARKET"
CONSUMER: Final = "petrosa-data-manager"
DEAD_LETTERS: Final = "PETROSA_MARKET_DEAD_LETTERS"

_ROOT: Final = Path(__file__).resolve().parents[2]
_STEP_S: Final = 0.02
_AT_ONCE: Final = 500

# A lost server is found again soon. The other waits are those of production: with shorter ones, a machine with other
# work to do would deliver messages again, or send batches twice.
QUICK: Final = {"NATS_RECONNECT_TIME_WAIT": "0.2"}

T = TypeVar("T")


class BridgeProcess:
    """One bridge process; ``start`` again after ``kill`` is a successor on the same consumer."""

    def __init__(self, nats_url: str, sink_url: str | None, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.log = log
        self._environment = {**os.environ, **QUICK, "NATS_URL": nats_url, "PORT": str(self.port), **environment}
        if sink_url is not None:
            self._environment["K_SINK"] = sink_url
        self._process: subprocess.Popen[bytes] | None = None

    def set(self, name: str, value: str) -> None:
        """Set a variable for the next start."""
        self._environment[name] = value

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None, "the bridge was not started"
        return self._process.pid

    def start(self, *, wait_ready: bool = True) -> None:
        """Start the process, and wait until it is ready to work."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "triggers.nats_bridge"], cwd=_ROOT, env=self._environment, stderr=output
            )
        if wait_ready:
            self.wait_until(lambda: self.get("/readyz")[0] == 200)

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end and return its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the process to end by itself and return its exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        """End the process if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def wait_until(self, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        """Wait until ``condition`` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process is None or self._process.poll() is None, f"the bridge ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"waited in vain:\n{self.log.read_text()[-4000:]}"
            time.sleep(_STEP_S)

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body; 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def status(self) -> dict[str, Any]:
        """Return what ``/readyz`` says."""
        body: dict[str, Any] = json.loads(self.get("/readyz")[1])
        return body

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that carry these labels."""
        text = self.get("/metrics")[1].decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@contextlib.contextmanager
def bridge(server: NatsServer, sink: HttpSink | None, folder: Path, **environment: str) -> Iterator[BridgeProcess]:
    """Run a bridge for the length of a ``with`` block; it is started and ready, unless there is no sink."""
    process = BridgeProcess(server.url, sink.url if sink else None, folder / f"bridge-{free_port()}.log", **environment)
    try:
        if sink is not None and server.running():
            process.start()
        yield process
    finally:
        process.close()


@contextlib.asynccontextmanager
async def jetstream(server: NatsServer) -> AsyncIterator[tuple[Client, JetStreamContext]]:
    """Connect to a server."""
    client = await nats.connect(server.url)
    try:
        yield client, client.jetstream()
    finally:
        await client.close()


def on(server: NatsServer, action: Callable[[JetStreamContext], Awaitable[T]]) -> T:
    """Run one action on a server's JetStream."""

    async def run() -> T:
        async with jetstream(server) as (_, js):
            return await action(js)

    return asyncio.run(run())


def publish(server: NatsServer, messages: Sequence[bytes]) -> None:
    """Put messages into the stream, in order, until the server has acknowledged them all."""

    async def action(js: JetStreamContext) -> None:
        for start in range(0, len(messages), _AT_ONCE):
            chunk = messages[start : start + _AT_ONCE]
            await asyncio.gather(*(js.publish(SUBJECT, raw, timeout=10) for raw in chunk))

    on(server, action)


def consumer_info(server: NatsServer) -> ConsumerInfo:
    """Return the state of the bridge's consumer."""

    async def action(js: JetStreamContext) -> ConsumerInfo:
        info: ConsumerInfo = await js.consumer_info(STREAM, CONSUMER)
        return info

    return on(server, action)


def wait_settled(server: NatsServer, seconds: float = PATIENCE_S) -> None:
    """Wait until the server has nothing left to deliver and nothing unsettled."""
    deadline = time.monotonic() + seconds
    while True:
        info = consumer_info(server)
        if not info.num_pending and not info.num_ack_pending:
            return
        assert time.monotonic() < deadline, f"pending {info.num_pending}, unsettled {info.num_ack_pending}"
        time.sleep(_STEP_S)


def dead_letters(server: NatsServer) -> list[tuple[dict[str, str], bytes]]:
    """Return headers and payload of everything in the dead-letter stream."""

    async def action(js: JetStreamContext) -> list[tuple[dict[str, str], bytes]]:
        state = (await js.stream_info(DEAD_LETTERS)).state
        kept = [await js.get_msg(DEAD_LETTERS, seq) for seq in range(state.first_seq, state.last_seq + 1)]
        return [(dict(message.headers or {}), message.data or b"") for message in kept]

    return on(server, action)
