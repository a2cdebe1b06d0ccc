"""Every manifest in the tree: the resources' own schemas, and the rules of this system."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from common.analytics.metrics import DOCUMENTS
from common.events import types
from common.events.own import own_events
from common.events.types import MARKET_KINDS, market
from infra.local.broker.filters import FilterManifest
from infra.local.manifests.kustomize import resources_of
from infra.local.manifests.load import load_manifests

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path(os.environ.get("PETROSA_KNATIVE_SCHEMAS", ROOT.parent / "shared" / "knative"))
EVENT_TYPES = {
    *map(market, MARKET_KINDS),
    *(event.TYPE for event in own_events()),
    types.MARKET_REJECTED,
    types.PING,
}
RETRIES, DELAY_S = 200, 0.5
DELIVERY = {"retry": RETRIES, "backoffPolicy": "linear", "backoffDelay": f"PT{DELAY_S}S", "timeout": "PT60S"}
DEAD_LETTER = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "dead-letter"}}


@dataclass(frozen=True)
class Manifest:
    path: str
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    def __str__(self) -> str:
        return f"{self.path}:{self.kind}/{self.name}"


def manifests() -> Iterator[Manifest]:
    """What ``kubectl apply`` sends for each folder; a test of its own holds the rendering against the real one."""
    for folder in sorted({*ROOT.glob("functions/*/"), *ROOT.glob("triggers/*/")}):
        for each in resources_of(folder):
            yield Manifest(str(folder.relative_to(ROOT)), each.body)
    for body in yaml.safe_load_all((ROOT / "infra" / "base" / "broker.yaml").read_text()):
        yield Manifest("infra/base", body)


MANIFESTS = list(manifests())
KNATIVE = [one for one in MANIFESTS if ".knative.dev/" in str(one.body["apiVersion"])]
SERVICES = [one for one in KNATIVE if one.body["apiVersion"] == "serving.knative.dev/v1" and one.kind == "Service"]
TRIGGERS = [one for one in KNATIVE if one.kind == "Trigger"]
PINGS = [one for one in KNATIVE if one.kind == "PingSource"]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))

each_service = pytest.mark.parametrize("service", SERVICES, ids=str)
each_trigger = pytest.mark.parametrize("trigger", TRIGGERS, ids=str)


def strict(schema: Any) -> Any:
    """Return a Kubernetes schema as JSON Schema that knows no other fields: what an API server would prune."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: {name: strict(item) for name, item in value.items()} if key == "properties" else strict(value)
        for key, value in schema.items()
        if not key.startswith("x-kubernetes-") and key != "nullable"
    }
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in result:
        result["type"] = [result["type"], "null"]
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result["additionalProperties"] = False
    return result


@cache
def validator(api_version: str, kind: str) -> jsonschema.Draft7Validator:
    path = SCHEMAS / f"{api_version.replace('/', '_')}_{kind}.json"
    if not SCHEMAS.is_dir():
        pytest.skip(f"Knative's schemas were not found in {SCHEMAS}: set PETROSA_KNATIVE_SCHEMAS to their folder")
    assert path.is_file(), f"no schema for {api_version} {kind}: it is no resource of the supported Knative"
    schema = strict(msgspec.json.decode(path.read_bytes()))
    for name in ("apiVersion", "kind", "metadata"):  # every resource has them, whether its schema says so or not
        schema["properties"].setdefault(name, {})
    return jsonschema.Draft7Validator(schema)


def problems(body: Mapping[str, Any]) -> list[str]:
    found = validator(str(body["apiVersion"]), str(body["kind"])).iter_errors(body)
    return [f"{error.json_path}: {error.message}" for error in found]


@pytest.mark.parametrize("manifest", KNATIVE, ids=str)
def test_a_manifest_is_what_the_api_server_accepts(manifest: Manifest) -> None:
    assert problems(manifest.body) == []


def test_the_schema_check_sees_a_misspelt_field() -> None:
    if not SERVICES:
        pytest.skip("no Service in the tree")
    misspelt = msgspec.json.decode(msgspec.json.encode(SERVICES[0].body))
    spec = misspelt["spec"]["template"]["spec"]
    spec["containerConcurency"] = spec.pop("containerConcurrency")
    assert any("containerConcurency" in problem for problem in problems(misspelt))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=str)
def test_names_are_unique_and_in_the_namespace(manifest: Manifest) -> None:
    same = [one for one in MANIFESTS if (one.kind, one.name) == (manifest.kind, manifest.name)]
    if manifest in KNATIVE:
        assert len(same) == 1
        assert manifest.body["metadata"]["namespace"] == "petrosa-apps"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_its_service_and_its_dependency_group(function: str) -> None:
    paths = [service.path for service in SERVICES]
    assert f"functions/{function}" in paths
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert function in groups, f"pyproject.toml has no optional-dependencies group {function}"


def container_of(service: Manifest) -> Mapping[str, Any]:
    (container,) = service.body["spec"]["template"]["spec"]["containers"]
    return dict(container)


@each_service
def test_a_service_runs_the_function_of_its_folder(service: Manifest) -> None:
    folder = Path(service.path).name
    container = container_of(service)
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert service.name == folder.replace("_", "-")
    assert env["FUNCTION_TARGET"] == folder
    assert "FUNCTION_SOURCE" not in env, "the host finds main.py by the target"
    assert (ROOT / service.path / "main.py").is_file()
    assert container["image"].partition(":")[0] == f"petrosa/{folder}"


@each_service
def test_a_service_says_how_it_runs(service: Manifest) -> None:
    spec = service.body["spec"]["template"]["spec"]
    container = container_of(service)
    assert spec["containerConcurrency"] > 0
    assert {"requests", "limits"} <= container["resources"].keys()
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert "startupProbe" not in container, "a startup probe lengthens every cold start"


@each_service
def test_a_container_sets_all_security_fields(service: Manifest) -> None:
    security = container_of(service)["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["readOnlyRootFilesystem"] is True


@each_service
def test_roles_decide_who_can_reach_a_service(service: Manifest) -> None:
    labels = service.body["metadata"]["labels"]
    routes = service.body["metadata"].get("annotations", {}).get("petrosa.io/routes", "")
    role = labels["petrosa.io/role"]
    assert role in {"event-function", "route-group"}
    if role == "event-function":
        assert labels.get("networking.knative.dev/visibility") == "cluster-local", "an event function is not public"
        assert not routes
    else:
        assert all(prefix.startswith("/") for prefix in routes.split(",")), "a route group names its path prefixes"


def named_in(filters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the event types that filters name, also those that they refuse."""
    for one in filters:
        inner = [one["not"]] if "not" in one else one.get("any", [])
        yield from (one[dialect]["type"] for dialect in ("exact", "prefix") if "type" in one.get(dialect, {}))
        yield from named_in(inner)


def passes(trigger: Manifest, event_type: str) -> bool:
    """Tell whether a Trigger would pass an event of this type that has whatever else it asks for."""
    filters = msgspec.convert(trigger.body["spec"]["filters"], list[FilterManifest])
    return all(one.to_filter().matches({"type": event_type}) for one in filters)


def test_ingest_gets_every_market_kind_and_nothing_else() -> None:
    (ingest,) = (trigger for trigger in TRIGGERS if trigger.body["metadata"]["name"] == "ingest")
    passed = {one for one in EVENT_TYPES if passes(ingest, one)}
    assert passed == {market(kind) for kind in MARKET_KINDS}


@each_trigger
def test_a_trigger_selects_known_types_for_a_service_that_exists(trigger: Manifest) -> None:
    assert trigger.body["spec"]["broker"] == "default"
    spec = trigger.body["spec"]
    assert "filter" not in spec, "filters, not the older filter: one of them is ignored when both stand"
    assert all(any(one.startswith(named) for one in EVENT_TYPES) for named in named_in(spec["filters"]))
    subscriber = trigger.body["spec"]["subscriber"]["ref"]
    assert subscriber["kind"] == "Service"
    assert subscriber["name"] in {service.name for service in SERVICES}


@each_trigger
def test_a_trigger_outlasts_a_store_that_is_away_for_minutes(trigger: Manifest) -> None:
    delivery = dict(trigger.body["spec"]["delivery"])
    dead_letter_sink = delivery.pop("deadLetterSink", None)
    assert delivery == DELIVERY
    if trigger.body["spec"]["subscriber"]["ref"]["name"] != "dead-letter":
        assert dead_letter_sink == DEAD_LETTER
    # Linear backoff: attempt n waits n times the delay, the first not at all.
    assert DELAY_S * sum(range(RETRIES)) > 30 * 60


def test_those_who_emit_besides_their_answer_and_no_others_get_the_sink() -> None:
    """A function's own code does so, or it makes documents of several metrics, of which an answer tells one."""
    code = {name: "".join(path.read_text() for path in (ROOT / "functions" / name).glob("*.py")) for name in FUNCTIONS}
    emitting = {name for name, text in code.items() if "context.sink" in text}
    emitting |= {metric.calculator for metric in DOCUMENTS.values() if metric.calculator}
    assert {service.target for service in load_manifests(ROOT).services if service.emits} == emitting
    assert emitting >= {"planner", "correlation"}


@pytest.mark.parametrize("ping", PINGS, ids=str)
def test_a_ping_source_tells_the_broker_its_schedule(ping: Manifest) -> None:
    spec = ping.body["spec"]
    assert spec["sink"]["ref"] == {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}
    assert spec["ceOverrides"]["extensions"]["schedule"] == ping.name
    assert len(spec["schedule"].split()) == 5


def test_every_schedule_of_the_planner_is_fired() -> None:
    from functions.planner.schedules import SCHEDULES

    assert {ping.name for ping in PINGS} == set(SCHEDULES)
