"""The manifests as the parts of one machine read them: what they say, and what is refused with file and field."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import infra
from common.errors import ConfigurationError
from infra.local.manifests.load import load_manifests
from infra.local.manifests.model import Delivery, Destination, HttpProbe
from infra.local.origin.layout import workers_plan
from infra.local.origin.worker import settings_of
from tests.support.local_broker import broker, service, trigger

PROJECT = Path(next(iter(infra.__path__))).parent
SERVICE_REF = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "ingest"}
DELIVERY = {"retry": 8, "backoffPolicy": "linear", "backoffDelay": "PT0.5S", "timeout": "PT1M"}
CONTAINER = {"image": "x", "env": [{"name": "FUNCTION_TARGET", "value": "ingest"}]}
PING: dict[str, Any] = {
    "apiVersion": "sources.knative.dev/v1",
    "kind": "PingSource",
    "metadata": {"name": "audit", "namespace": "petrosa-apps"},
    "spec": {
        "schedule": "*/5 * * * *",
        "sink": {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}},
        "ceOverrides": {"extensions": {"schedule": "audit"}},
    },
}


def project(folder: Path, **documents: Any) -> Path:
    """Write a project of one Service, one Trigger, one PingSource and a Broker, each replaceable."""
    files = {
        "infra/base/broker.yaml": documents.get("broker", broker()),
        "functions/ingest/service.yaml": documents.get("service", service("ingest")),
        "functions/ingest/trigger.yaml": documents.get(
            "trigger", trigger("ingest", {"subscriber": {"ref": SERVICE_REF}, "delivery": DELIVERY})
        ),
        "triggers/cron/audit.yaml": documents.get("ping", PING),
    }
    for name, document in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        text = document if isinstance(document, str) else yaml.safe_dump_all(_listed(document))
        (folder / name).write_text(text)
    return folder


def _listed(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a document in which the field at ``path`` is another."""
    result = copy.deepcopy(document)
    *parents, last = path.split(".")
    part = result
    for name in parents:
        part = part.setdefault(name, {})
    part[last] = value
    return result


def test_the_manifests_of_this_project_are_read() -> None:
    manifests = load_manifests(PROJECT)
    names = {each.name for each in manifests.services}
    assert {"ingest", "planner", "dead-letter", "api-data"} <= names
    assert {each.subscriber.service for each in manifests.triggers} <= names
    assert all(each.delivery.dead_letter_sink == Destination(service="dead-letter") for each in manifests.triggers)
    assert all((PROJECT / each.source).exists() for each in manifests.services)
    assert {"analytics", "audit", "retention"} <= {each.extensions["schedule"] for each in manifests.ping_sources}


def test_those_whom_a_sink_binding_names_get_the_sink_whatever_their_role(tmp_path: Path) -> None:
    group = changed(service("api-jobs"), "metadata.annotations", {"petrosa.io/routes": "/jobs"})
    group = changed(group, "metadata.labels", {"petrosa.io/role": "route-group", "petrosa.io/emits": "true"})
    binding = yaml.safe_load((PROJECT / "triggers" / "sinks" / "emitting-functions.yaml").read_text())
    folder = project(tmp_path, service=[service("ingest"), group])
    (folder / "triggers" / "sinks").mkdir()
    (folder / "triggers" / "sinks" / "emitting.yaml").write_text(yaml.safe_dump(binding))
    plan = workers_plan(
        load_manifests(folder).services,
        project_dir=folder,
        isolate=False,
        origin_port=8080,
        ports=iter((1, 2)),
        others={},
        sink="http://broker/",
    )
    sinks = {each.name: settings_of(each).k_sink for worker in plan.workers for each in worker.functions}
    assert sinks == {"ingest": None, "api-jobs": "http://broker/"}


def test_a_service_says_what_runs_and_how_much_at_once(tmp_path: Path) -> None:
    written = changed(service("ingest", concurrency=4), "metadata.annotations", {"petrosa.io/local-process": "ingest"})
    (found,) = load_manifests(project(tmp_path, service=written)).services
    assert (found.name, found.target) == ("ingest", "ingest")
    assert (found.source, found.role, found.routes) == ("functions/ingest/main.py", "event-function", ())
    assert (found.local_process, found.concurrency, found.env) == ("ingest", 4, {"FUNCTION_TARGET": "ingest"})


def test_a_route_group_has_its_routes_and_shares_the_process_of_its_role(tmp_path: Path) -> None:
    written = changed(service("ingest"), "metadata.labels", {"petrosa.io/role": "route-group"})
    written = changed(written, "metadata.annotations", {"petrosa.io/routes": "/, /health"})
    (found,) = load_manifests(project(tmp_path, service=written)).services
    assert (found.routes, found.local_process) == (("/", "/health"), "route-group")


def test_the_bridge_is_a_program_that_its_deployment_describes() -> None:
    (bridge,) = load_manifests(PROJECT).programs
    assert (bridge.name, bridge.command) == ("bridge", ("python", "-m", "triggers.nats_bridge"))
    assert bridge.liveness == HttpProbe("/healthz", period_s=20, timeout_s=5, failures=6)
    assert (bridge.emits, bridge.address_variable, bridge.grace_s) == (True, "BRIDGE_HEALTH_URL", 20)


def bound(folder: Path, subject: dict[str, Any]) -> bool:
    """Tell whether a SinkBinding with this subject gives the project's function the Broker's address."""
    sink = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}}
    binding = {**PING, "kind": "SinkBinding", "spec": {"subject": subject, "sink": sink}}
    (found,) = load_manifests(project(folder, ping=[PING, binding])).services
    return found.emits


@pytest.mark.parametrize(
    ("subject", "emits"),
    [
        ({"name": "ingest"}, True),
        ({"name": "other"}, False),
        ({"selector": {"matchLabels": {"petrosa.io/role": "event-function"}}}, True),
        ({"selector": {"matchLabels": {"petrosa.io/role": "route-group"}}}, False),
        ({"apiVersion": "apps/v1", "kind": "Deployment", "name": "ingest"}, False),
    ],
)
def test_a_sink_binding_says_who_emits(tmp_path: Path, subject: dict[str, Any], emits: bool) -> None:
    kind = {"apiVersion": "serving.knative.dev/v1", "kind": "Service"}
    assert bound(tmp_path, {**kind, **subject}) is emits


def test_a_probe_has_the_platforms_defaults_where_it_says_nothing(tmp_path: Path) -> None:
    probes = {"readinessProbe": {"httpGet": {"path": "/readyz"}}, "livenessProbe": {"httpGet": {}, "periodSeconds": 7}}
    written = changed(service("ingest"), "spec.template.spec.containers", [{**CONTAINER, **probes}])
    (found,) = load_manifests(project(tmp_path, service=written)).services
    assert found.readiness == HttpProbe("/readyz", period_s=5, timeout_s=3, failures=3)
    assert found.liveness == HttpProbe("/", period_s=7, timeout_s=1, failures=3)


def test_what_means_nothing_on_one_machine_is_passed_over(tmp_path: Path) -> None:
    elsewhere = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": []}}
    assert load_manifests(project(tmp_path, ping=[PING, elsewhere])) == load_manifests(project(tmp_path))


def test_a_trigger_without_delivery_has_that_of_the_broker(tmp_path: Path) -> None:
    sink = {"deadLetterSink": {"uri": "http://letters"}}
    written = trigger("ingest", {"subscriber": {"ref": SERVICE_REF}})
    (found,) = load_manifests(project(tmp_path, trigger=written, broker=broker({**DELIVERY, **sink}))).triggers
    assert found.delivery == Delivery(8, "linear", 0.5, 60.0, Destination(uri="http://letters"))


def test_a_delivery_of_its_own_replaces_that_of_the_broker_but_for_the_dead_letter_sink(tmp_path: Path) -> None:
    sink = {"deadLetterSink": {"uri": "http://letters"}}
    written = trigger("ingest", {"subscriber": {"ref": SERVICE_REF}, "delivery": {"retry": 2}})
    (found,) = load_manifests(project(tmp_path, trigger=written, broker=broker({**DELIVERY, **sink}))).triggers
    assert found.delivery == Delivery(2, "exponential", 0.0, None, Destination(uri="http://letters"))


def test_a_broker_without_delivery_has_that_of_the_platform(tmp_path: Path) -> None:
    written = {**broker(), "spec": {}}
    found = load_manifests(
        project(tmp_path, broker=written, trigger=trigger("a", {"subscriber": {"ref": SERVICE_REF}}))
    )
    assert found.broker.delivery == found.triggers[0].delivery == Delivery(10, "exponential", 0.2)


def test_filters_override_the_older_filter(tmp_path: Path) -> None:
    written = trigger(
        "ingest",
        {
            "subscriber": {"ref": SERVICE_REF},
            "filter": {"attributes": {"type": "a"}},
            "filters": [{"exact": {"type": "b"}}],
        },
    )
    (found,) = load_manifests(project(tmp_path, trigger=written)).triggers
    assert found.matches({"type": "b"})
    assert not found.matches({"type": "a"})


def test_a_trigger_without_filters_takes_everything(tmp_path: Path) -> None:
    (found,) = load_manifests(project(tmp_path)).triggers
    assert found.matches({"type": "any"})


def test_json_data_of_a_ping_source_is_sent_compact(tmp_path: Path) -> None:
    written = changed(PING, "spec.contentType", "application/json")
    written = changed(written, "spec.data", '{ "b": 1.10,  "a": [1] }')
    (found,) = load_manifests(project(tmp_path, ping=written)).ping_sources
    assert found.data == b'{"a":[1],"b":1.10}'
    assert (found.timezone, found.extensions) == ("UTC", {"schedule": "audit"})


def test_other_data_of_a_ping_source_is_sent_as_it_stands(tmp_path: Path) -> None:
    written = changed(PING, "spec.data", "[1, 2]")
    (found,) = load_manifests(project(tmp_path, ping=written)).ping_sources
    assert (found.data, found.content_type) == (b"[1, 2]", None)


TRIGGER = trigger("ingest", {"subscriber": {"ref": SERVICE_REF}, "delivery": DELIVERY})
SERVICE = service("ingest")


@pytest.mark.parametrize(
    ("document", "path", "value", "said"),
    [
        ("trigger", "spec.delivery.backoffDelay", "500ms", "backoffDelay: expected an ISO 8601 duration"),
        ("trigger", "spec.delivery.backoffDelay", 5, "Expected `str`, got `int` - at `$.spec.delivery.backoffDelay`"),
        ("trigger", "spec.delivery.timeout", "-PT1S", "timeout: expected an ISO 8601 duration"),
        ("trigger", "spec.delivery.timeout", "PT0S", "spec.delivery: timeout: expected more than 0"),
        ("trigger", "spec.delivery.deadLetterSink", {}, "expected either ref or uri"),
        ("trigger", "spec.delivery.backoffPolicy", "expo", "$.spec.delivery.backoffPolicy"),
        ("trigger", "spec.delivery.retry", -1, "retry: expected 0 or more"),
        ("trigger", "spec.delivery.retryAfterMax", "PT1S", "unknown field `retryAfterMax` - at `$.spec.delivery`"),
        ("trigger", "spec.delivery.format", "json", "$.spec.delivery.format"),
        ("trigger", "spec.broker", "other", "spec.broker: expected default, was 'other'"),
        ("trigger", "spec.subscriber", {}, "expected either ref or uri - at `$.spec.subscriber`"),
        ("trigger", "spec.subscriber", {"uri": "ftp://x"}, "uri: expected an http URL, was 'ftp://x'"),
        ("trigger", "spec.subscriber.ref.kind", "Deployment", "spec.subscriber: expected a reference to a Knative"),
        ("trigger", "spec.filterz", [], "unknown field `filterz` - at `$.spec`"),
        ("trigger", "spec.filters", [{"exact": {"type": ""}}], "$.spec.filters[0].exact"),
        ("trigger", "spec.filters", [{"cesql": "true"}], "Trigger ingest: the dialect cesql is not supported here"),
        ("trigger", "spec.filters", [{"all": [{"not": {"cesql": "true"}}]}], "exact, prefix, suffix, all, any, not"),
        ("trigger", "metadata.namespace", "other", "metadata.namespace: expected petrosa-apps"),
        ("trigger", "kind", "Broker", "$.kind"),
        ("trigger", "apiVersion", "eventing.knative.dev/v1beta1", "$.apiVersion"),
        ("service", "metadata.labels", {}, "metadata.labels[petrosa.io/role]: expected event-function or route-group"),
        ("service", "metadata.labels", {"petrosa.io/role": "route-group"}, "petrosa.io/routes"),
        ("service", "metadata.annotations", {"petrosa.io/routes": "/data"}, "petrosa.io/routes"),
        ("service", "spec.template.spec.containers", [], "containers: expected one, was 0"),
        ("service", "spec.template.spec.containers", [{"image": "x"}], "FUNCTION_TARGET"),
        ("service", "spec.template.spec.containers", [{**CONTAINER, "imagePulPolicy": "x"}], "imagePulPolicy"),
        ("service", "spec.template.spec.containerConcurency", 1, "containerConcurency"),
        ("service", "spec.template.spec.containerConcurrency", "1", "Expected `int`, got `str`"),
        ("ping", "spec.schedule", "@every 5m", "spec.schedule: expected a cron schedule"),
        ("ping", "spec.timezone", "Mars/Olympus", "spec.schedule: expected an IANA time zone"),
        ("ping", "spec.sink.ref.name", "other", "spec.sink.ref: expected the Broker default, was 'other'"),
        ("ping", "spec.ceOverrides.extensions", {"my-ext": "1"}, "spec.ceOverrides.extensions"),
        ("ping", "kind", "ConfigMap", "Invalid value 'ConfigMap' - at `$.kind`"),
        ("service", "spec.template.spec.containers", [{**CONTAINER, "livenessProbe": {"exec": {}}}], "livenessProbe"),
        ("broker", "spec.delivery.retries", 1, "unknown field `retries` - at `$.spec.delivery`"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path: Path, document: str, path: str, value: Any, said: str) -> None:
    original = {"trigger": TRIGGER, "service": SERVICE, "ping": PING, "broker": broker()}[document]
    folder = project(tmp_path, **{document: changed(original, path, value)})
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        load_manifests(folder)
    assert ".yaml: " in str(caught.value)
    assert {"trigger": "trigger", "service": "service", "ping": "audit", "broker": "broker"}[document] in str(
        caught.value
    )


@pytest.mark.parametrize("data", ["[1]", "1", "{", "'a'"])
def test_json_data_of_a_ping_source_must_be_an_object(tmp_path: Path, data: str) -> None:
    written = changed(changed(PING, "spec.contentType", "application/json"), "spec.data", data)
    with pytest.raises(ConfigurationError, match=re.escape("spec.data: expected a JSON object")):
        load_manifests(project(tmp_path, ping=written))


def test_a_name_is_used_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'ingest' was already used"):
        load_manifests(project(tmp_path, trigger=[TRIGGER, TRIGGER]))


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"trigger\.yaml: not YAML"):
        load_manifests(project(tmp_path, trigger="a: [1"))


def test_a_broker_there_must_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"broker\.yaml: the manifest cannot be read"):
        load_manifests(tmp_path)
