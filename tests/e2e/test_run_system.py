"""The one-machine runner from outside: start, routes, kills, stop, and what it says when something is wrong."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local.ports import LOOPBACK, free_ports, is_free
from tests.support.fake_project import add_function, make_project
from tests.support.nats import nats_server
from tests.support.system import System, processes_of, running_system

SHORTEST_PATIENCE_S = 8  # with which the runner waits for a part that it has asked to stop


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def petrosa(*arguments: str, state: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "infra.cli.main", *arguments],
        env=os.environ | {"PETROSA_DATA_DIR": str(state)} | settings,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def ticks(system: System) -> list[dict[str, str]]:
    found: list[dict[str, str]] = system.get("/echo/ticks").json()["ticks"]
    return found


@pytest.mark.parametrize("isolate", [False, True], ids=["shared", "isolated"])
def test_the_origin_serves_the_functions_of_the_project(project: Path, state: Path, isolate: bool) -> None:
    with running_system(state, project=project, isolate=isolate) as system:
        assert system.get("/").json()["service"] == "echo"
        assert system.client.post("/echo/body?a=1", json="x" * 100_000).json() == {
            "length": 100_000,
            "a": "1",
        }
        with system.client.stream("GET", "/echo/stream") as stream:
            assert [line for line in stream.iter_lines() if line] == [f"data: {number}" for number in range(5)]
        assert system.get("/nowhere").json() == {"detail": "Not Found"}
        assert "/echo/ticks" in system.get("/openapi.json").json()["paths"]
        assert system.get("/functions/recorder/healthz").json()["function"] == "recorder"
        processes = set(re.findall(r'process="([^"]+)"', system.get("/metrics").text))
        assert processes >= {"bridge", "broker", "recorder" if isolate else "event-function"}
        own_process = {"gateway", "api-echo", "recorder"} <= set(system.record.parts)
        assert own_process is isolate


def test_the_first_tick_comes_by_itself_and_another_by_hand(project: Path, state: Path) -> None:
    with running_system(state, project=project, environment={"PETROSA_CLOCK": "2025-12-31T23:59:00Z"}) as system:
        system.wait(lambda: len(ticks(system)) == 1)
        done = petrosa("tick", "audit", state=state)
        assert done.returncode == 0, done.stderr
        system.wait(lambda: len(ticks(system)) == 2)
        for tick in ticks(system):
            assert tick["type"] == "dev.knative.sources.ping"
            assert tick["source"] == "/apis/v1/namespaces/petrosa-apps/pingsources/audit"
            assert (tick["schedule"], tick["manual"]) == ("audit", "true")
            assert "2025-12-31T23:59:00" <= tick["time"] < "2026-01-01T00:05:00"
        unknown = petrosa("tick", "harvest", state=state)
        assert unknown.returncode == 2
        assert "audit" in unknown.stderr


def test_every_part_that_is_killed_comes_back_on_its_port(project: Path, state: Path) -> None:
    with running_system(state, project=project) as system:
        addresses = {name: part.url for name, part in system.record.parts.items()}
        for name in addresses:
            system.kill(name)
        for name in addresses:
            system.wait_restarted(name)
        assert {name: part.url for name, part in system.record.parts.items()} == addresses
        system.wait(lambda: system.get("/").status_code == 200)
        before = len(ticks(system))
        assert petrosa("tick", "audit", state=state).returncode == 0
        system.wait(lambda: len(ticks(system)) > before)


def test_while_a_function_is_away_the_isolated_gateway_says_when_to_come_back(project: Path, state: Path) -> None:
    with running_system(state, project=project, isolate=True) as system:
        system.freeze("api-echo")
        pid = system.kill("api-echo")
        answers = {system.get("/").status_code}
        system.wait_restarted("api-echo")
        system.wait(lambda: system.get("/").status_code == 200)
        assert answers <= {200, 503}
        assert system.part("api-echo").pid != pid


def test_ctrl_c_stops_in_order_and_a_second_start_goes_on(project: Path, state: Path) -> None:
    with running_system(state, project=project) as system:
        system.wait(lambda: len(ticks(system)) == 1)
        second = petrosa("run", "--feed", "none", state=state)
        assert second.returncode == 2
        assert "in use by another runner" in second.stderr
        assert system.stop() == 0
        assert "everything is stored" in system.output()
        assert (state / "recorder-stopped").exists(), "stop hooks must run"
        assert not (state / "run.json").exists()
    other = petrosa("run", "--feed", "none", state=state, PETROSA_MARKET="spot")
    assert other.returncode == 2
    assert "PETROSA_DATA_DIR" in other.stderr
    with running_system(state, project=project) as system:
        assert len(ticks(system)) >= 1


def test_parts_end_with_a_killed_runner_and_the_folder_is_free_again(project: Path, state: Path) -> None:
    with running_system(state, project=project) as system:
        system.process.kill()
        system.process.wait()
        deadline_s = time.monotonic() + 5
        while system.left_behind() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not system.left_behind()
    with running_system(state, project=project):
        pass


def test_a_second_ctrl_c_ends_everything_at_once(project: Path, state: Path) -> None:
    with running_system(state, project=project) as system:
        for name in system.pids:
            system.freeze(name)  # none of them will stop in order
        system.process.send_signal(signal.SIGINT)
        system.wait(lambda: "stopping" in system.output())
        began_s = time.monotonic()
        assert system.stop() == 130
        assert time.monotonic() - began_s < SHORTEST_PATIENCE_S


def test_status_tells_ready_from_not(project: Path, state: Path) -> None:
    with running_system(state, project=project):
        shown = petrosa("status", state=state)
        assert shown.returncode == 0, shown.stdout + shown.stderr
        for word in ("ready", "bridge", "event-function", "rows"):
            assert word in shown.stdout
    gone = petrosa("status", state=state)
    assert gone.returncode == 2
    assert "PETROSA_DATA_DIR" in gone.stderr


def test_a_taken_port_is_named_with_its_setting_and_nothing_is_started(project: Path, state: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = str(server.getsockname()[1])
        for setting in ("PETROSA_HTTP_PORT", "PETROSA_NATS_PORT"):
            done = petrosa("run", "--feed", "none", "--project", str(project), state=state, **{setting: port})
            assert done.returncode == 2
            assert f"{setting}: port {port} is in use" in done.stderr
    assert not processes_of(state)


def test_a_server_of_the_users_own_is_used_and_none_is_started(project: Path, state: Path, tmp_path: Path) -> None:
    with nats_server(tmp_path) as server:
        with running_system(state, project=project, environment={"NATS_URL": server.url}) as system:
            assert "nats" not in system.record.parts
            assert system.record.nats_url == server.url
        assert server.running()
    away = petrosa("run", "--feed", "none", "--project", str(project), state=state, NATS_URL=server.url)
    assert away.returncode == 2
    assert f"NATS_URL: no NATS server answers at {server.url}" in away.stderr


def test_a_function_that_cannot_start_fails_the_start_with_the_reason(project: Path, state: Path) -> None:
    broken = """
        from contextlib import asynccontextmanager
        from common.errors import ConfigurationError
        from common.host import event_function

        @asynccontextmanager
        async def open_resources(context):
            raise ConfigurationError("MODEL_PATH: expected a file, was nothing")
            yield

        @event_function(resources=open_resources)
        async def broken(event, resources): ...
        """
    add_function(project, "broken", broken)
    http_port = free_ports(1)[0]
    done = petrosa("run", "--feed", "none", "--project", str(project), state=state, PETROSA_HTTP_PORT=str(http_port))
    assert done.returncode == 1
    assert "MODEL_PATH: expected a file" in done.stdout
    assert not processes_of(state)
    assert is_free(http_port)
