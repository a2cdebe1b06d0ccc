"""A small project for tests of the one-machine runner: its own functions and manifests, none of the product's."""

import shutil
import textwrap
from pathlib import Path
from typing import Final

_BRIDGE: Final = Path(__file__).resolve().parents[2] / "triggers" / "nats_bridge"
_SERVICE: Final = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: {name}
  namespace: petrosa-apps
  labels:
    petrosa.io/role: {role}
  annotations:
    petrosa.io/note: test
{annotations}
spec:
  template:
    spec:
      containers:
        - image: petrosa/{name}
          env:
            - name: FUNCTION_TARGET
              value: {target}
            - name: FUNCTION_SOURCE
              value: functions/{target}/main.py
"""
_TRIGGER: Final = """\
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: {name}
  namespace: petrosa-apps
spec:
  broker: default
  filters:
    - exact:
        type: {type}
  subscriber:
    ref:
      apiVersion: serving.knative.dev/v1
      kind: Service
      name: {name}
  delivery:
    retry: 10
    backoffPolicy: linear
    backoffDelay: PT0.2S
    timeout: PT10S
"""
_PING_SOURCE: Final = """\
apiVersion: sources.knative.dev/v1
kind: PingSource
metadata:
  name: {schedule}
  namespace: petrosa-apps
spec:
  schedule: "0 0 1 1 *"
  timezone: UTC
  sink:
    ref:
      apiVersion: eventing.knative.dev/v1
      kind: Broker
      name: default
  ceOverrides:
    extensions:
      schedule: {schedule}
"""
_BROKER: Final = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: default
  namespace: petrosa-apps
  annotations:
    eventing.knative.dev/broker.class: MTChannelBasedBroker
spec:
  delivery:
    retry: 10
    backoffPolicy: exponential
    backoffDelay: PT0.2S
"""
# An API that answers with what it was asked, streams, fails, and shows what the other function was sent.
_API: Final = """
import asyncio
import json
import os
from contextlib import asynccontextmanager
from typing import Any

from starlette.responses import StreamingResponse

from common.host import route_group
from common.host.api import Api, Route
from common.host.parameters import Query


class Said(Query):
    a: str = ""
    body: str


@asynccontextmanager
async def open_resources(context):
    yield context


def build(context):
    async def root(query):
        return {"service": "echo", "pid": os.getpid(), "market": context.settings.petrosa_market}

    async def ticks(query):
        file = context.settings.petrosa_data_dir / "ticks.ndjson"
        return {"ticks": [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []}

    async def said(query):
        return {"length": len(query.body), "a": query.a}

    async def stream(query):
        async def numbers():
            for number in range(5):
                yield f"data: {number}\\n\\n"
                await asyncio.sleep(0.05)

        return StreamingResponse(numbers(), media_type="text/event-stream")

    return Api("Echo", [
        Route("/", root, query=Query, model=Any, summary="Root"),
        Route("/echo/ticks", ticks, query=Query, model=Any, summary="Ticks"),
        Route("/echo/body", said, query=Said, model=Any, summary="What was said", method="POST"),
        Route("/echo/stream", stream, query=Query, model=Any, summary="Numbers"),
    ])


api_echo = route_group("api_echo", resources=open_resources, build=build)
"""
# An event function that writes down what it was sent, and leaves a mark when its stop hook ran.
_RECORDER: Final = """
import json
from contextlib import asynccontextmanager

from common.host import event_function


@asynccontextmanager
async def open_file(context):
    folder = context.settings.petrosa_data_dir
    with (folder / "ticks.ndjson").open("a") as file:
        yield file
    (folder / "recorder-stopped").touch()


@event_function(resources=open_file)
async def recorder(event, file):
    file.write(json.dumps(event.attributes) + "\\n")
    file.flush()
"""


def add_function(
    project: Path,
    target: str,
    code: str,
    *,
    role: str = "event-function",
    routes: str | None = None,
    local_process: str | None = None,
    event_type: str | None = None,
) -> None:
    """Add a function to a project: its folder with code, Service and (with ``event_type``) Trigger."""
    folder = project / "functions" / target
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(textwrap.dedent(code))
    annotations = {"petrosa.io/routes": routes, "petrosa.io/local-process": local_process}
    lines = "\n".join(f'    {name}: "{value}"' for name, value in annotations.items() if value)
    name = target.replace("_", "-")
    (folder / "service.yaml").write_text(_SERVICE.format(name=name, target=target, role=role, annotations=lines))
    if event_type:
        (folder / "trigger.yaml").write_text(_TRIGGER.format(name=name, type=event_type))


def make_project(folder: Path) -> Path:
    """Make a project: a route group, an event function that takes the ticks, the schedule ``audit``, and the bridge."""
    (folder / "infra" / "base").mkdir(parents=True)
    (folder / "infra" / "base" / "broker.yaml").write_text(_BROKER)
    (folder / "triggers" / "cron").mkdir(parents=True)
    (folder / "triggers" / "cron" / "audit.yaml").write_text(_PING_SOURCE.format(schedule="audit"))
    shutil.copytree(_BRIDGE, folder / "triggers" / "nats_bridge", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    add_function(folder, "api_echo", _API, role="route-group", routes="/,/echo")
    add_function(folder, "recorder", _RECORDER, event_type="dev.knative.sources.ping")
    return folder
