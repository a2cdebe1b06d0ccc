"""Triggers with the addresses of a run."""

from pathlib import Path

import pytest

from common.errors import ConfigurationError
from infra.local.broker.message import Message
from infra.local.broker.plan import BrokerPlan, read_plan, write_plan
from infra.local.broker.routes import WAITING_EVENTS, Route, routes_of
from infra.local.manifests.load import load_manifests
from tests.support.local_broker import write_manifests


def ref(name: str) -> dict[str, object]:
    return {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}}


def routes(folder: Path, sink: str, **subscribers: str) -> list[Route]:
    spec = {"subscriber": ref("ingest"), "delivery": {"deadLetterSink": ref(sink)}}
    write_manifests(folder, {"ingest": spec}, services={"ingest": 4, "letters": 0})
    plan = BrokerPlan("petrosa-apps", "default", 1, str(folder), subscribers)
    return routes_of(load_manifests(folder), plan)


def test_a_route_leads_to_the_address_of_the_run_and_dead_letters_name_the_lasting_one(tmp_path: Path) -> None:
    (route,) = routes(tmp_path, "letters", ingest="http://127.0.0.1:1/ingest", letters="http://127.0.0.1:2/letters")
    assert (route.url, route.dead_letter_url) == ("http://127.0.0.1:1/ingest", "http://127.0.0.1:2/letters")
    assert route.destination == "http://ingest.petrosa-apps.svc.cluster.local"


def test_a_trigger_whose_subscriber_does_not_run_is_left_out(tmp_path: Path) -> None:
    assert routes(tmp_path, "letters", letters="http://127.0.0.1:2") == []


def test_a_dead_letter_sink_that_does_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"trigger\.yaml: spec\.delivery\.deadLetterSink: .*letters"):
        routes(tmp_path, "letters", ingest="http://127.0.0.1:1")


def test_a_route_is_full_after_so_many_events_and_free_again_after_one_less(tmp_path: Path) -> None:
    (route,) = routes(tmp_path, "letters", ingest="http://127.0.0.1:1", letters="http://127.0.0.1:2")
    event = Message((), b"")
    for _ in range(WAITING_EVENTS):
        assert not route.is_full
        route.add(event)
    assert route.is_full
    route.remove(event)
    assert not route.is_full


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = BrokerPlan(
        "petrosa-apps", "default", 8090, "/project", {"ingest": "http://127.0.0.1:1"}, ("audit",), cron=False
    )
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan
    assert plan.ingress_url == "http://127.0.0.1:8090/petrosa-apps/default"


@pytest.mark.parametrize("text", ["", "{}", '{"namespace": 1}', "[]"])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"plan\.json: not a plan"):
        read_plan(tmp_path / "plan.json")
