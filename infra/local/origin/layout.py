"""Which process of one machine hosts which functions, read off the manifests, and the file that tells the processes.

By default functions share the process that their manifest names (``petrosa.io/local-process``, else the role);
isolated, each function has its own. The process that hosts most route groups is also the single origin; isolated, a
process of its own without functions is.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from infra.local.ports import LOOPBACK

if TYPE_CHECKING:  # the processes that read a plan need no manifests
    from infra.local.manifests.model import FunctionService

GATEWAY: Final = "gateway"
ROUTE_GROUP: Final = "route-group"


class HostedFunction(msgspec.Struct, frozen=True):
    """One function in a process."""

    name: str
    target: str
    source: str
    routes: tuple[str, ...] = ()
    environment: dict[str, str] = {}


class Worker(msgspec.Struct, frozen=True):
    """One process: where it listens, and what it hosts. ``origin_port`` is set for the single origin."""

    name: str
    port: int
    functions: tuple[HostedFunction, ...]
    origin_port: int | None = None

    @property
    def url(self) -> str:
        """Base of its endpoints."""
        return f"http://{LOOPBACK}:{self.port}"


class WorkersPlan(msgspec.Struct, frozen=True):
    """All processes that host functions, and the other ones whose metrics the origin shows (name → URL)."""

    workers: tuple[Worker, ...]
    others: dict[str, str]

    def worker(self, name: str) -> Worker:
        """Return the worker of this name."""
        return next(worker for worker in self.workers if worker.name == name)

    def subscribers(self) -> dict[str, str]:
        """Return the address of every function, by the name of its Service."""
        return {
            function.name: f"{worker.url}/{function.name}" for worker in self.workers for function in worker.functions
        }


def groups_of(services: Sequence["FunctionService"], *, isolate: bool) -> dict[str, list["FunctionService"]]:
    """Return the processes by name, each with its functions, in the order of their names."""
    groups: defaultdict[str, list[FunctionService]] = defaultdict(list)
    for service in sorted(services, key=lambda each: each.name):
        groups[service.name if isolate else service.local_process].append(service)
    if isolate:
        groups[GATEWAY] = []
    return dict(sorted(groups.items()))


def origin_of(groups: dict[str, list["FunctionService"]]) -> str:
    """Return the name of the process that serves the single origin."""
    if GATEWAY in groups:
        return GATEWAY
    route_groups = Counter(
        {name: sum(service.role == ROUTE_GROUP for service in group) for name, group in groups.items()}
    )
    return route_groups.most_common(1)[0][0]


def workers_plan(
    services: Sequence["FunctionService"],
    *,
    project_dir: Path,
    isolate: bool,
    origin_port: int,
    ports: Iterator[int],
    others: dict[str, str],
    sink: str,
) -> WorkersPlan:
    """Lay the functions out over processes.

    Args:
        services: the functions.
        project_dir: folder that their sources are relative to.
        isolate: whether each function has its own process.
        origin_port: where the single origin listens.
        ports: free ports to take.
        others: parts without functions whose metrics belong to the system's, name → base URL.
        sink: address of the broker, for those that a SinkBinding gives it.
    """
    groups = groups_of(services, isolate=isolate)
    origin = origin_of(groups)
    workers = tuple(
        Worker(
            name,
            next(ports),
            tuple(_hosted(service, project_dir, sink) for service in group),
            origin_port if name == origin else None,
        )
        for name, group in groups.items()
    )
    return WorkersPlan(workers, others)


def _hosted(service: "FunctionService", project_dir: Path, sink: str) -> HostedFunction:
    environment = service.env | ({"K_SINK": sink} if service.emits else {})
    return HostedFunction(service.name, service.target, str(project_dir / service.source), service.routes, environment)


def write_plan(file: Path, plan: WorkersPlan) -> None:
    """Write the plan for the processes."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(plan)))


def read_plan(file: Path) -> WorkersPlan:
    """Read the plan."""
    return msgspec.json.decode(file.read_bytes(), type=WorkersPlan)
