"""The map holds: files, names and sections that the documentation and the code point at are there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "infra/docs/design.md"
PAGES = (ROOT / "README.md", DESIGN)
FOLDERS = ("common", "functions", "infra", "tests", "triggers")
_STEP = re.compile(r"(\S+/\S+\.(?:py|yaml))(?: +(\S+))?$")
_PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`")
_REFERENCE = re.compile(r'design\.md, "([^"]+)"')
# Pages that are not in the repository.
_ELSEWHERE = re.compile(r"DESIGN §|\bspec/[a-z-]+\.md|\bresearch/[a-z-]+\.md")


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    endings = {".py", ".yaml", ".md"}
    paths = [ROOT / name for name in listed.split("\0") if Path(name).suffix in endings]
    return [path for path in paths if path.is_file() and path != Path(__file__)]


def steps() -> list[tuple[str, str]]:
    """The lines of the drawn paths that name a file, each with the name in it."""
    found = (_STEP.search(line) for line in DESIGN.read_text().splitlines())
    return [(match[1], match[2] or "") for match in found if match]


def test_both_paths_are_drawn() -> None:
    assert len(steps()) >= 20


@pytest.mark.parametrize(("file", "name"), steps())
def test_a_step_of_a_drawn_path_is_there(file: str, name: str) -> None:
    text = (ROOT / file).read_text()
    for part in filter(None, name.split(".")):
        assert re.search(rf"^\s*(?:(?:async )?def|class) {part}\b|^{part}\b *[:=]", text, re.MULTILINE), (
            f"{file} has no {part}"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text().partition("\n## How to add")[0]  # what that section names is still to be written
    named = set(_PATH.findall(text))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_sections_that_the_code_refers_to_are_there() -> None:
    headings = set(re.findall(r"^## (.+)$", DESIGN.read_text(), re.MULTILINE))
    referred = {section: path.name for path in sources() for section in _REFERENCE.findall(path.read_text())}
    assert referred
    assert {section: file for section, file in referred.items() if section not in headings} == {}


def test_nothing_refers_to_pages_that_are_not_in_the_repository() -> None:
    assert [str(path.relative_to(ROOT)) for path in sources() if _ELSEWHERE.search(path.read_text())] == []
