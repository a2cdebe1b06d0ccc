"""The layout of functions over processes, as the manifests ask for it."""

from pathlib import Path

from infra.local.manifests.model import FunctionService, Role
from infra.local.origin.layout import WorkersPlan, read_plan, workers_plan, write_plan


def service(name: str, *routes: str, local_process: str | None = None) -> FunctionService:
    role: Role = "route-group" if routes else "event-function"
    target = name.replace("-", "_")
    return FunctionService(
        name=name,
        target=target,
        source=f"functions/{target}/main.py",
        role=role,
        routes=routes,
        local_process=local_process or role,
        env={"FUNCTION_TARGET": target},
        concurrency=0,
    )


SERVICES = [
    service("planner"),
    service("ingest", local_process="ingest"),
    service("api-health", "/", "/health"),
    service("api-data", "/data"),
    service("api-anomalies", "/anomalies", local_process="models"),
]


def plan_of(services: list[FunctionService], *, isolate: bool = False) -> WorkersPlan:
    ports = iter(range(20_000, 20_100))
    return workers_plan(
        services,
        project_dir=Path("/project"),
        isolate=isolate,
        origin_port=8080,
        ports=ports,
        others={},
        sink="http://sink",
    )


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
    assert hosted(plan) == {"gateway": [], **{each.name: [each.name] for each in SERVICES}}
    assert plan.worker("gateway").origin_port == 8080
    assert all(worker.origin_port is None for worker in plan.workers if worker.name != "gateway")


def test_every_process_has_a_port_of_its_own_and_every_function_an_address() -> None:
    plan = plan_of(SERVICES)
    assert len({worker.port for worker in plan.workers}) == len(plan.workers)
    assert set(plan.subscribers()) == {each.name for each in SERVICES}
    assert plan.subscribers()["ingest"] == f"http://127.0.0.1:{plan.worker('ingest').port}/ingest"


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = plan_of(SERVICES)
    write_plan(tmp_path / "workers.json", plan)
    assert read_plan(tmp_path / "workers.json") == plan


def test_a_source_is_found_from_anywhere() -> None:
    (function,) = plan_of(SERVICES).worker("ingest").functions
    assert (function.target, function.source) == ("ingest", "/project/functions/ingest/main.py")
