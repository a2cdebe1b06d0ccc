"""The layout of functions over processes, as the manifests ask for it."""

from dataclasses import dataclass, field
from pathlib import Path

from infra.local.layout import WorkersPlan, read_plan, workers_plan, write_plan


@dataclass(frozen=True)
class FakeService:
    name: str
    role: str = "event-function"
    routes: tuple[str, ...] = ()
    local_process: str | None = None
    folder: Path = Path("/project/functions/any")
    env: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return self.name.replace("-", "_")


SERVICES = [
    FakeService("planner"),
    FakeService("ingest", local_process="ingest"),
    FakeService("api-health", "route-group", ("/", "/health")),
    FakeService("api-data", "route-group", ("/data",)),
    FakeService("api-anomalies", "route-group", ("/anomalies",), local_process="models"),
]


def plan_of(services: list[FakeService], *, isolate: bool = False) -> WorkersPlan:
    return workers_plan(services, isolate=isolate, origin_port=8080, ports=iter(range(20_000, 20_100)), others={})


def hosted(plan: WorkersPlan) -> dict[str, list[str]]:
    return {worker.name: [function.name for function in worker.functions] for worker in plan.workers}


def test_functions_share_the_process_of_their_role_unless_their_manifest_names_one() -> None:
    assert hosted(plan_of(SERVICES)) == {
        "event-function": ["planner"],
        "ingest": ["ingest"],
        "models": ["api-anomalies"],
        "route-group": ["api-data", "api-health"],
    }


def test_the_process_with_most_route_groups_is_the_single_origin() -> None:
    assert {worker.name: worker.origin_port for worker in plan_of(SERVICES).workers if worker.origin_port} == {
        "route-group": 8080
    }


def test_isolated_every_function_has_its_own_process_and_the_origin_one_without_functions() -> None:
    plan = plan_of(SERVICES, isolate=True)
    assert hosted(plan) == {"gateway": [], **{service.name: [service.name] for service in SERVICES}}
    assert plan.worker("gateway").origin_port == 8080
    assert all(worker.origin_port is None for worker in plan.workers if worker.name != "gateway")


def test_every_process_has_a_port_of_its_own_and_every_function_an_address() -> None:
    plan = plan_of(SERVICES)
    assert len({worker.port for worker in plan.workers}) == len(plan.workers)
    assert set(plan.subscribers()) == {service.name for service in SERVICES}
    assert plan.subscribers()["ingest"] == f"http://127.0.0.1:{plan.worker('ingest').port}/ingest"


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = plan_of(SERVICES)
    write_plan(tmp_path / "workers.json", plan)
    assert read_plan(tmp_path / "workers.json") == plan
