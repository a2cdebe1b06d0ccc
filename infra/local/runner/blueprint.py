"""What a run consists of, decided before anything starts: ports, plans, environment, and the parts by stage.

Start order: database servers; then NATS server and functions side by side; then the broker, which would use up its
retries on functions that are not there yet; then the bridge; then the feed. The stop takes the stages from the last to
the first.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from common.errors import ConfigurationError
from common.events.types import SCHEDULE
from infra.local.broker import plan
from infra.local.broker.pinger import source_uri
from infra.local.broker.plan import BrokerPlan
from infra.local.databases.own import MONGODB, MYSQL, DatabaseServer
from infra.local.databases.stores import Stores
from infra.local.manifests.load import load_manifests
from infra.local.manifests.model import FunctionService
from infra.local.origin import layout
from infra.local.origin.layout import GATEWAY, Worker, WorkersPlan, workers_plan
from infra.local.ports import LOOPBACK, free_ports
from infra.local.runner import nats_server
from infra.local.runner.configuration import RunOptions, part_environment
from infra.local.runner.observation import RUNNER
from infra.local.runner.state_folder import StateFolder
from infra.local.runner.supervisor import PartSpec, Probe

NATS: Final = "nats"
BROKER: Final = "broker"
BRIDGE: Final = "bridge"
FEED: Final = "feed"

_RESERVED: Final = frozenset({NATS, BROKER, BRIDGE, FEED, MONGODB, MYSQL, GATEWAY, RUNNER})
_DATABASE_STOP_S: Final = 20.0  # it writes what it holds to its files

HttpProbe = Callable[[str], Probe]


@dataclass(frozen=True)
class Blueprint:
    """One run, ready to be started.

    Attributes:
        stages: parts that start together, stage after stage.
        workers: the processes that host functions.
        broker_url: what parts get as ``K_SINK``.
        schedules: name of each schedule → ``source`` of its PingSource's events.
        routes: path prefixes that the origin serves.
        stores: where the data lie.
    """

    stages: tuple[tuple[PartSpec, ...], ...]
    workers: WorkersPlan
    broker_url: str
    schedules: dict[str, str]
    routes: tuple[str, ...]
    stores: Stores


def draw(options: RunOptions, folder: StateFolder, stores: Stores, probe: HttpProbe) -> Blueprint:
    """Read the manifests, choose the ports and write the plans of the parts.

    Args:
        options: what the run was started with.
        folder: where its state lies.
        stores: where its data lie, made ready.
        probe: makes the readiness check of an HTTP address.

    Raises:
        ConfigurationError: a manifest or a setting is wrong.
    """
    manifests = load_manifests(options.project_dir)
    _check_process_names(manifests.services)
    taken = {options.http_port, options.nats_port, *stores.ports}
    ports = iter(free_ports(len(manifests.services) + 3, taken=taken))
    broker_port, bridge_port = next(ports), next(ports)
    broker_base, bridge_base = f"http://{LOOPBACK}:{broker_port}", f"http://{LOOPBACK}:{bridge_port}"
    workers = workers_plan(
        manifests.services,
        project_dir=options.project_dir,
        isolate=options.isolate,
        origin_port=options.http_port,
        ports=ports,
        others={BROKER: broker_base, BRIDGE: bridge_base},
    )
    broker_plan = BrokerPlan(
        namespace=manifests.broker.namespace,
        broker=manifests.broker.name,
        broker_port=broker_port,
        project_dir=str(options.project_dir),
        subscribers=workers.subscribers(),
    )
    layout.write_plan(folder.workers_file, workers)
    plan.write_plan(folder.plan_file, broker_plan)
    environment = part_environment(
        options, folder, sink=broker_plan.ingress_url, bridge_url=bridge_base, stores=stores.environment
    )
    parts = _Parts(options, folder, environment, probe)
    return Blueprint(
        stages=parts.stages(workers, broker_port, bridge_port, stores.servers),
        workers=workers,
        broker_url=broker_plan.ingress_url,
        schedules={
            source.extensions[SCHEDULE]: source_uri(source)
            for source in manifests.ping_sources
            if SCHEDULE in source.extensions
        },
        routes=tuple(prefix for service in manifests.services for prefix in service.routes),
        stores=stores,
    )


def _check_process_names(services: Iterable[FunctionService]) -> None:
    for service in services:
        for name in (service.name, service.local_process):
            if name in _RESERVED:
                raise ConfigurationError(
                    f"function {service.target}: {name!r} is the name of a part of the system and cannot be that "
                    "of a function or its process: choose another"
                )


@dataclass(frozen=True)
class _Parts:
    """Makes the parts of one run, which share its environment."""

    options: RunOptions
    folder: StateFolder
    environment: dict[str, str]
    probe: HttpProbe

    def stages(
        self, workers: WorkersPlan, broker_port: int, bridge_port: int, servers: Iterable[DatabaseServer]
    ) -> tuple[tuple[PartSpec, ...], ...]:
        """Return the parts in the order of their start."""
        databases = tuple(self._database(server) for server in servers)
        nats = () if self.options.external_nats else (self._nats(),)
        hosts = tuple(self._worker(worker) for worker in workers.workers)
        broker = self._python(
            BROKER, "infra.local.broker", "--plan", str(self.folder.plan_file), port=broker_port, ready_path="/readyz"
        )
        bridge = self._python(BRIDGE, "triggers.nats_bridge", port=bridge_port, ready_path="/readyz", stop_timeout_s=12)
        feed = () if self.options.feed == "none" else (self._feed(),)
        return tuple(stage for stage in (databases, (*nats, *hosts), (broker,), (bridge,), feed) if stage)

    def _nats(self) -> PartSpec:
        port = self.options.nats_port
        configuration = nats_server.write_configuration(self.folder.nats, port)

        async def ready() -> bool:
            return await nats_server.greets(LOOPBACK, port)

        return PartSpec(
            name=NATS,
            command=(nats_server.executable(), "-c", str(configuration)),
            environment=self.environment | nats_server.ENVIRONMENT,
            log=self.folder.log(NATS),
            ready=ready,
        )

    def _database(self, server: DatabaseServer) -> PartSpec:
        return PartSpec(
            name=server.name,
            command=server.command,
            environment=self.environment,
            log=self.folder.log(server.name),
            ready=server.ready,
            stop_timeout_s=_DATABASE_STOP_S,
            restart_note="" if server.keeps_data else "it keeps its data in memory, so all that it held is gone",
        )

    def _worker(self, worker: Worker) -> PartSpec:
        names = tuple(function.name for function in worker.functions)
        arguments = ("--plan", str(self.folder.workers_file), "--process", worker.name)
        return self._python(
            worker.name,
            "infra.local.origin.worker",
            *arguments,
            port=worker.port,
            ready_path="/healthz",
            functions=names,
        )

    def _python(
        self,
        name: str,
        module: str,
        *arguments: str,
        port: int,
        ready_path: str,
        stop_timeout_s: float = 10,
        functions: tuple[str, ...] = (),
    ) -> PartSpec:
        url = f"http://{LOOPBACK}:{port}"
        return PartSpec(
            name=name,
            command=(sys.executable, "-m", module, *arguments),
            environment=self.environment | {"PORT": str(port)},
            log=self.folder.log(name),
            ready=self.probe(f"{url}{ready_path}"),
            url=url,
            stop_timeout_s=stop_timeout_s,
            functions=functions,
        )

    def _feed(self) -> PartSpec:
        return PartSpec(
            name=FEED,
            command=(sys.executable, "-m", "infra.cli.main", self.options.feed),
            environment=self.environment,
            log=self.folder.log(FEED),
            stop_timeout_s=5,
            may_end=True,
        )
