"""The README's way to add a route group, followed word for word in a scratch folder."""

import asyncio
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import httpx
import pytest

from common.host.app import create_app
from common.settings import Settings
from infra.local.manifests.load import load_manifests
from tests.support.asgi import serving

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what the section touches, with the group added."""
    for folder in ("functions/api_data", "infra/base"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    section = (ROOT / "README.md").read_text().split("### How to add a route group")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    (tmp_path / "functions/api_extents").mkdir()
    (tmp_path / "functions/api_extents/main.py").write_text(code)
    subprocess.run(["sh", "-euc", commands], cwd=tmp_path, check=True)
    return tmp_path


def test_the_group_answers_and_is_documented(clone: Path) -> None:
    settings = Settings(petrosa_data_dir=clone / "state")

    async def ask() -> list[httpx.Response]:
        app = create_app("api_extents", str(clone / "functions/api_extents/main.py"), settings)
        async with serving(app) as client:
            paths = ("/extents/btcusdt?period=1h", "/extents/b-c?period=7m", "/openapi.json", "/readyz")
            return [await client.get(path) for path in paths]

    missing, wrong, document, ready = asyncio.run(ask())
    assert (missing.status_code, missing.json()) == (404, {"detail": "No candles available for BTCUSDT 1h"})
    assert [item["loc"] for item in wrong.json()["detail"]] == [["path", "pair"], ["query", "period"]]
    assert set(document.json()["paths"]["/extents/{pair}"]["get"]["responses"]) == {"200", "404", "422", "503"}
    assert ready.status_code == 200


def test_the_runner_finds_the_group_and_its_image_knows_what_to_install(clone: Path) -> None:
    services = {service.name: service for service in load_manifests(clone).services}
    assert services["api-extents"].routes == ("/extents",)
    assert "api_extents" in tomllib.loads((clone / "pyproject.toml").read_text())["project"]["optional-dependencies"]
