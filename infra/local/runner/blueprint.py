"""What a run consists of, decided before anything starts: ports, plans, environment, and the parts by stage.

Start order: database servers; then NATS server and functions side by side; then the broker, which would use up its
retries on functions that are not there yet; then the bridge; then the feed. The stop takes the stages from the last to
the first.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from common.errors import ConfigurationError
from common.events.types import SCHEDULE
from common.settings import load_settings
from infra.local.broker import plan
from infra.local.broker.pinger import source_uri
from infra.local.broker.plan import BrokerPlan
from infra.local.databases.own import MONGODB, MYSQL, DatabaseServer
from infra.local.databases.stores import Stores
from infra.local.manifests.load import load_manifests
from infra.local.manifests.model import HttpProbe, Manifests, Program
from infra.local.origin import layout
from infra.local.origin.layout import GATEWAY, Worker, WorkersPlan, workers_plan
from infra.local.ports import LOOPBACK, free_ports
from infra.local.runner import nats_server
from infra.local.runner.checks import Check, Probe
from infra.local.runner.configuration import RunOptions, part_environment
from infra.local.runner.observation import RUNNER
from infra.local.runner.state_folder import StateFolder
from infra.local.runner.supervisor import PartSpec

NATS: Final = "nats"
BROKER: Final = "broker"
FEED: Final = "feed"

_RESERVED: Final = frozenset({NATS, BROKER, FEED, MONGODB, MYSQL, GATEWAY, RUNNER})
_STOP_S: Final = 10.0
_DATABASE_STOP_S: Final = 20.0  # it writes what it holds to its files
# The pace of what has no manifest: the runner's own parts, and the databases, which may be busy for long.
_READINESS: Final = HttpProbe("/readyz", period_s=5, timeout_s=2, failures=3)
_LIVENESS: Final = HttpProbe("/healthz", period_s=5, timeout_s=5, failures=5)
_DATABASE_LIVENESS: Final = HttpProbe("", period_s=10, timeout_s=10, failures=12)

HttpQuestion = Callable[[str, float], Probe]  # address and time for an answer → the question


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


def draw(options: RunOptions, folder: StateFolder, stores: Stores, ask: HttpQuestion) -> Blueprint:
    """Read the manifests, choose the ports and write the plans of the parts.

    Args:
        options: what the run was started with.
        folder: where its state lies.
        stores: where its data lie, made ready.
        ask: makes the question whether an HTTP address answers.

    Raises:
        ConfigurationError: a manifest or a setting is wrong.
    """
    manifests = load_manifests(options.project_dir, load_settings())
    _check_part_names(manifests)
    taken = {options.http_port, options.nats_port, *stores.ports}
    ports = iter(free_ports(len(manifests.services) + len(manifests.programs) + 2, taken=taken))
    broker_port = next(ports)
    programs = {program.name: next(ports) for program in manifests.programs}
    broker = BrokerPlan(
        manifests.broker.namespace, manifests.broker.name, broker_port, str(options.project_dir), subscribers={}
    )
    workers = workers_plan(
        manifests.services,
        project_dir=options.project_dir,
        isolate=options.isolate,
        origin_port=options.http_port,
        ports=ports,
        others={name: _url(port) for name, port in ({BROKER: broker_port} | programs).items()},
        sink=broker.ingress_url,
    )
    broker = msgspec.structs.replace(broker, subscribers=workers.subscribers())
    layout.write_plan(folder.workers_file, workers)
    plan.write_plan(folder.plan_file, broker)
    addresses = {each.address_variable: _url(programs[each.name]) for each in manifests.programs}
    environment = part_environment(
        options, folder, {name: url for name, url in addresses.items() if name} | dict(stores.environment)
    )
    parts = _Parts(options, folder, environment, ask, manifests)
    return Blueprint(
        stages=parts.stages(workers, broker, programs, stores.servers),
        workers=workers,
        broker_url=broker.ingress_url,
        schedules={
            source.extensions[SCHEDULE]: source_uri(source)
            for source in manifests.ping_sources
            if SCHEDULE in source.extensions
        },
        routes=tuple(prefix for service in manifests.services for prefix in service.routes),
        stores=stores,
    )


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _check_part_names(manifests: Manifests) -> None:
    taken = dict.fromkeys(_RESERVED, "a part of the system")
    for program in manifests.programs:
        if program.name in taken:
            raise _name_taken(f"the Deployment {program.name}", program.name, taken[program.name])
        taken[program.name] = "a Deployment"
    for service in manifests.services:
        for name in (service.name, service.local_process):
            if name in taken:
                raise _name_taken(f"function {service.target}", name, taken[name])


def _name_taken(whose: str, name: str, owner: str) -> ConfigurationError:
    return ConfigurationError(
        f"{whose}: {name!r} is the name of {owner} and cannot be that of another part: choose another"
    )


@dataclass(frozen=True)
class _Parts:
    """Makes the parts of one run, which share its environment."""

    options: RunOptions
    folder: StateFolder
    environment: dict[str, str]
    ask: HttpQuestion
    manifests: Manifests

    def stages(
        self, workers: WorkersPlan, broker: BrokerPlan, programs: Mapping[str, int], servers: Iterable[DatabaseServer]
    ) -> tuple[tuple[PartSpec, ...], ...]:
        """Return the parts in the order of their start."""
        databases = tuple(self._database(server) for server in servers)
        nats = () if self.options.external_nats else (self._nats(),)
        hosts = tuple(self._worker(worker) for worker in workers.workers)
        beside = tuple(self._program(each, programs[each.name], broker.ingress_url) for each in self.manifests.programs)
        feed = () if self.options.feed == "none" else (self._feed(),)
        stages = (databases, (*nats, *hosts), (self._broker(broker.broker_port),), beside, feed)
        return tuple(stage for stage in stages if stage)

    def _nats(self) -> PartSpec:
        port = self.options.nats_port
        configuration = nats_server.write_configuration(self.folder.nats, port)

        async def ready() -> bool:
            return await nats_server.greets(LOOPBACK, port, _LIVENESS.timeout_s)

        return PartSpec(
            name=NATS,
            command=(nats_server.executable(), "-c", str(configuration)),
            environment=self.environment | nats_server.ENVIRONMENT,
            log=self.folder.log(NATS),
            ready=ready,
            checks=(Check(NATS, ready, _LIVENESS, is_vital=True),),
        )

    def _database(self, server: DatabaseServer) -> PartSpec:
        return PartSpec(
            name=server.name,
            command=server.command,
            environment=self.environment,
            log=self.folder.log(server.name),
            ready=server.ready,
            checks=(Check(server.name, server.ready, _DATABASE_LIVENESS, is_vital=True),),
            stop_timeout_s=_DATABASE_STOP_S,
            restart_note="" if server.keeps_data else "it keeps its data in memory, so all that it held is gone",
        )

    def _worker(self, worker: Worker) -> PartSpec:
        names = tuple(function.name for function in worker.functions)
        hosted = [service for service in self.manifests.services if service.name in names]
        probes = [(each.name, f"{worker.url}/{each.name}", each.readiness, each.liveness) for each in hosted]
        return self._own(
            worker.name,
            "infra.local.origin.worker",
            *("--plan", str(self.folder.workers_file), "--process", worker.name),
            port=worker.port,
            ready_path="/healthz",
            checks=self._checks(probes or [(worker.name, worker.url, None, _LIVENESS)]),
            functions=names,
        )

    def _broker(self, port: int) -> PartSpec:
        return self._own(
            BROKER,
            "infra.local.broker",
            *("--plan", str(self.folder.plan_file)),
            port=port,
            ready_path=_READINESS.path,
            checks=self._checks([(BROKER, _url(port), _READINESS, _LIVENESS)]),
        )

    def _own(
        self,
        name: str,
        module: str,
        *arguments: str,
        port: int,
        ready_path: str,
        checks: tuple[Check, ...],
        functions: tuple[str, ...] = (),
    ) -> PartSpec:
        return PartSpec(
            name=name,
            command=(sys.executable, "-m", module, *arguments),
            environment=self.environment,
            log=self.folder.log(name),
            ready=self.ask(f"{_url(port)}{ready_path}", _READINESS.timeout_s),
            checks=checks,
            url=_url(port),
            stop_timeout_s=_STOP_S,
            functions=functions,
        )

    def _program(self, program: Program, port: int, sink: str) -> PartSpec:
        url = _url(port)
        given = {"PORT": str(port)} | ({"K_SINK": sink} if program.emits else {})
        ready = program.readiness
        return PartSpec(
            name=program.name,
            command=tuple(sys.executable if word == "python" else word for word in program.command),
            environment=program.env | self.environment | given,
            log=self.folder.log(program.name),
            ready=self.ask(f"{url}{ready.path}", ready.timeout_s) if ready else None,
            checks=self._checks([(program.name, url, ready, program.liveness)]),
            url=url,
            stop_timeout_s=program.grace_s,
        )

    def _checks(self, probes: Iterable[tuple[str, str, HttpProbe | None, HttpProbe | None]]) -> tuple[Check, ...]:
        """Return the checks of a part: whose they are, its address, its readiness and its liveness."""
        return tuple(
            Check(name, self.ask(f"{url}{probe.path}", probe.timeout_s), probe, is_vital)
            for name, url, readiness, liveness in probes
            for probe, is_vital in ((readiness, False), (liveness, True))
            if probe is not None
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
