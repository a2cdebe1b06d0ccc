"""The broker of one machine as a process, with manifests that a test makes up."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import httpx
import yaml

from infra.local.broker.plan import BrokerPlan, write_plan
from tests.support.nats import free_port
from tests.support.patience import PATIENCE_S

NAMESPACE: Final = "petrosa-apps"
_POLL_S: Final = 0.02

Spec = Mapping[str, Any]


def trigger(name: str, spec: Spec, namespace: str = NAMESPACE) -> dict[str, Any]:
    """Return the manifest of a Trigger."""
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"broker": "default", **spec},
    }


def broker(delivery: Spec | None = None, namespace: str = NAMESPACE) -> dict[str, Any]:
    """Return the manifest of the Broker."""
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Broker",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {"delivery": dict(delivery or {})},
    }


def service(name: str, *, concurrency: int = 0, namespace: str = NAMESPACE) -> dict[str, Any]:
    """Return the manifest of an event function."""
    container = {"image": f"petrosa/{name}", "env": [{"name": "FUNCTION_TARGET", "value": name}]}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"petrosa.io/role": "event-function"}},
        "spec": {"template": {"spec": {"containerConcurrency": concurrency, "containers": [container]}}},
    }


def write_manifests(
    project: Path,
    triggers: Mapping[str, Spec],
    *,
    delivery: Spec | None = None,
    services: Mapping[str, int] | None = None,
    ping_sources: Sequence[Spec] = (),
) -> None:
    """Write the manifests of a project: Triggers by name, concurrency of Services by name, PingSources."""
    _write(project / "infra" / "base" / "broker.yaml", broker(delivery))
    _write(project / "functions" / "all" / "trigger.yaml", *(trigger(name, spec) for name, spec in triggers.items()))
    for name, concurrency in (services or {}).items():
        _write(project / "functions" / name / "service.yaml", service(name, concurrency=concurrency))
    if ping_sources:
        _write(project / "triggers" / "cron" / "all.yaml", *ping_sources)


def _write(file: Path, *documents: Spec) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump_all(documents))


class LocalBroker:
    """One broker process; its port and its manifests survive ``kill`` and ``start``."""

    def __init__(
        self,
        folder: Path,
        nats_url: str,
        *,
        addresses: Mapping[str, str] | None = None,
        cron: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.base}/{NAMESPACE}/default"
        self.log = folder / "broker.log"
        self._plan = folder / "plan.json"
        self._environment = {**os.environ, "NATS_URL": nats_url, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        plan = BrokerPlan(NAMESPACE, "default", self.port, str(folder), dict(addresses or {}), cron=cron)
        write_plan(self._plan, plan)

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        assert self._process is not None, "the broker was not started"
        return self._process.pid

    def start(self, *, until_ready: bool = True) -> None:
        """Start the process and wait until it takes events."""
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.broker", "--plan", self._plan],
            env=self._environment,
            stdout=self._output,
            stderr=self._output,
        )
        self.wait_status("/readyz" if until_ready else "/healthz", 200)

    def wait_status(self, path: str, status: int, *, within_s: float = PATIENCE_S) -> None:
        """Wait until a path is answered so."""
        deadline_s = time.monotonic() + within_s
        while self._status(path) != status:
            assert self._process is None or self._process.poll() is None, f"the broker ended:\n{self.log_text()}"
            assert time.monotonic() < deadline_s, f"{path} did not become {status}:\n{self.log_text()}"
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would."""
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """End the process and return its status."""
        status = None
        if self._process is not None:
            self._process.send_signal(how)
            try:
                status = self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._output is not None:
            self._output.close()
        self._process = self._output = None
        return status

    def metric(self, name: str, **labels: str) -> float:
        """Return a value of the metrics."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        for line in httpx.get(f"{self.base}/metrics").text.splitlines():
            if line.split("{")[0].split(" ")[0] == name and all(each in line for each in wanted):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def log_text(self) -> str:
        """Return all that the broker has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _status(self, path: str) -> int:
        try:
            return httpx.get(f"{self.base}{path}").status_code
        except httpx.TransportError:
            return 0


@contextlib.contextmanager
def local_broker(
    folder: Path,
    nats_url: str,
    triggers: Mapping[str, Spec],
    *,
    delivery: Spec | None = None,
    services: Mapping[str, int] | None = None,
    addresses: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    start: bool = True,
) -> Iterator[LocalBroker]:
    """Run a broker for the length of a ``with`` block.

    Args:
        folder: where manifests, plan and log are kept.
        nats_url: the NATS server.
        triggers: specs by name, without ``broker``.
        delivery: of the Broker.
        services: name of each event function → its concurrency.
        addresses: name of each Service that runs → its URL.
        environment: settings of the broker.
        start: whether to start it at once; otherwise the test calls ``start``.
    """
    write_manifests(folder, triggers, delivery=delivery, services=services)
    process = LocalBroker(folder, nats_url, addresses=addresses, environment=environment)
    try:
        if start:
            process.start()
        yield process
    finally:
        process.end()
