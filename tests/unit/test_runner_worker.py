"""A process that hosts several functions: who gets a request, and with which settings a function runs."""

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from common.errors import ConfigurationError
from common.host.app import create_app
from common.settings import Settings
from infra.local.origin.layout import HostedFunction
from infra.local.origin.worker import FunctionStartFailed, HostedFunctions, settings_of, started


def named(name: str) -> Starlette:
    async def answer(request: Request) -> PlainTextResponse:
        path = request.scope["raw_path"].decode()
        return PlainTextResponse(f"{name} {request.url.path} {path} {request.url.query}")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def ask(path: str, *, port: int) -> httpx.Response:
    app = HostedFunctions({"planner": named("planner"), "ingest": named("ingest")}, named("origin"), 8080)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://worker:{port}") as client:
            return await client.post(path)

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/planner", "planner / / "),
        ("/ingest/", "ingest / / "),
        ("/planner/a%2Fb?x=1", "planner /a/b /a%2Fb x=1"),
        ("/ingest/readyz", "ingest /readyz /readyz "),
    ],
)
def test_the_first_segment_names_the_function_which_sees_the_rest(path: str, answer: str) -> None:
    assert ask(path, port=20_000).text == answer


def test_what_comes_to_the_origins_port_is_the_origins() -> None:
    assert ask("/planner/x", port=8080).text == "origin /planner/x /planner/x "


def test_the_process_answers_for_itself() -> None:
    assert ask("/healthz", port=20_000).json() == {"status": "ok", "functions": ["planner", "ingest"]}
    assert "python_info" in ask("/metrics", port=20_000).text
    assert ask("/nobody", port=20_000).status_code == 404


def test_a_manifest_sets_what_the_environment_leaves_open(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {"PLANNER_MAX_SLOTS": "7", "LOG_LEVEL": "WARNING", "FUNCTION_TARGET": "planner", "OTHER": "x"}
    monkeypatch.delenv("PLANNER_MAX_SLOTS", raising=False)
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    settings = settings_of(HostedFunction("planner", "planner", "main.py", (), declared))
    assert settings.planner_max_slots == 7
    assert settings.log_level == "ERROR"


FUNCTION = """
from contextlib import asynccontextmanager
from common.errors import ConfigurationError
from common.host import event_function

@asynccontextmanager
async def opened(context):
    folder = context.settings.petrosa_data_dir
    for mark, error in (("fails", ValueError), ("is-wrong", ConfigurationError)):
        if (folder / f"{name}-{{mark}}").exists():
            raise error("MODEL_PATH: expected a file")
    (folder / "{name}-started").touch()
    yield
    (folder / "{name}-stopped").touch()

@event_function(resources=opened)
async def {name}(event, resources): ...
"""


def start_and_stop(folder: Path) -> list[str]:
    """Start two functions, stop them, and return which marks they left."""
    settings = Settings(petrosa_data_dir=folder)
    apps = {}
    for name in ("first", "second"):
        source = folder / f"{name}.py"
        source.write_text(FUNCTION.format(name=name))
        apps[name] = create_app(name, str(source), settings)

    async def body() -> None:
        async with started(apps):
            (folder / "served").touch()

    asyncio.run(body())
    return sorted(file.name for file in folder.iterdir() if not file.suffix)


def test_all_start_and_stop_hooks_run(tmp_path: Path) -> None:
    marks = start_and_stop(tmp_path)
    assert marks == ["first-started", "first-stopped", "second-started", "second-stopped", "served"]


@pytest.mark.parametrize(("mark", "kind"), [("fails", FunctionStartFailed), ("is-wrong", ConfigurationError)])
def test_a_function_that_does_not_start_is_named_and_the_others_are_stopped_again(
    tmp_path: Path, mark: str, kind: type[Exception]
) -> None:
    (tmp_path / f"second-{mark}").touch()
    with pytest.raises(kind, match="did not start: second: MODEL_PATH: expected a file"):
        start_and_stop(tmp_path)
    assert (tmp_path / "first-stopped").exists()
    assert not (tmp_path / "served").exists()
