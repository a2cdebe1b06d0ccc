"""Kustomizations as one machine renders them: as the real kustomize does, and refused beyond what is understood."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.errors import ConfigurationError
from infra.local.manifests.kustomize import FILE, resources_of
from tests.support.kustomize import rendered

ROOT = Path(__file__).resolve().parents[2]
KUSTOMIZATIONS = [
    file.parent
    for folder in ("functions", "triggers", "infra")
    for file in sorted((ROOT / folder).rglob(FILE))
    if "kind: Component" not in file.read_text()
]
HEAD = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"list": [1, 2], "a/b~c": {}}}


def by_name(documents: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


@pytest.mark.timeout(700)  # the real one may have to be built
@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_the_projects_kustomizations_are_rendered_as_the_real_kustomize_does(folder: Path) -> None:
    assert by_name([each.body for each in resources_of(folder)]) == by_name(rendered(folder))


def kustomization(folder: Path, *, resource: Any = SERVICE, patch: Any = None, **fields: Any) -> Path:
    """Write a kustomization of one resource, with a patch of its kind where one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.yaml").write_text(yaml.safe_dump(resource))
    if patch is not None:
        fields["patches"] = [{"target": {"kind": "Service"}, "patch": yaml.safe_dump(patch)}]
    (folder / FILE).write_text(yaml.safe_dump({**HEAD, "resources": ["service.yaml"], **fields}))
    return folder


@pytest.mark.timeout(700)
@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "add", "path": "/spec/list/-", "value": 3}],
        [{"op": "add", "path": "/spec/list/1", "value": {"x": 1}}, {"op": "remove", "path": "/spec/list/0"}],
        [{"op": "replace", "path": "/spec/list/1", "value": "other"}],
        [{"op": "add", "path": "/spec/a~1b~0c/new", "value": [True, None, "1", 1.5]}],
        [{"op": "replace", "path": "/metadata/name", "value": "b"}, {"op": "add", "path": "/spec/list", "value": []}],
        [{"op": "remove", "path": "/spec"}],
    ],
)
def test_patches_do_what_the_real_kustomize_does(tmp_path: Path, operations: list[dict[str, Any]]) -> None:
    base = kustomization(tmp_path / "base", patch=[{"op": "add", "path": "/spec/base", "value": 1}])
    part = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "resources": []}
    component = kustomization(tmp_path / "part", patch=operations, namespace="here", **part)
    inner = [f"../{base.name}"]
    whole = kustomization(tmp_path / "whole", resources=inner, components=[f"../{component.name}"], namespace="there")
    assert by_name([each.body for each in resources_of(whole)]) == by_name(rendered(whole))


def test_a_folder_without_a_kustomization_is_its_files(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all([SERVICE, None, SERVICE]))
    assert [each.body for each in resources_of(tmp_path)] == [SERVICE, SERVICE]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"images": []}, "unknown field `images`: one machine reads resources, components, namespace"),
        ({"kind": "Component"}, "expected a Kustomization of kustomize.config.k8s.io/v1beta1, was 'Component'"),
        ({"apiVersion": "v1"}, "was 'Kustomization' 'v1'"),
        ({"resources": ["../other.yaml"]}, "expected a folder or a file beside, was '../other.yaml'"),
        ({"resources": ["missing.yaml"]}, "missing.yaml: the manifest cannot be read"),
        ({"resources": ["https://example.org/base"]}, "the manifest cannot be read"),
        ({"resources": ["../itself"]}, "it takes in itself"),
        ({"patches": [{"path": "patch.yaml"}]}, "unknown field `path` - at `$.patches[0]`"),
        ({"patches": [{"patch": "[]", "target": {"kind": "Service", "name": "a"}}]}, "unknown field `name`"),
        ({"patch": {"kind": "Service"}}, "patches of Service: Expected `array`"),
        ({"patch": [{"op": "move", "path": "/a", "value": 1}]}, "Invalid enum value 'move'"),
        ({"patch": [{"op": "add", "path": "/a"}]}, "expected a value with add and replace alone"),
        ({"patch": [{"op": "replace", "path": "/spec/none", "value": 1}]}, "replace /spec/none: there is no such"),
        ({"patch": [{"op": "remove", "path": "/spec/list/2"}]}, "remove /spec/list/2: there is no such place"),
        ({"patch": [{"op": "add", "path": "/spec/none/deeper", "value": 1}]}, "add /spec/none/deeper: there is no"),
        ({"patch": [{"op": "add", "path": "spec", "value": 1}]}, "expected one such as /metadata/name, was 'spec'"),
    ],
)
def test_what_is_beyond_is_refused_with_the_file(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    folder = kustomization(tmp_path / "itself", **fields)
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        resources_of(folder)
    assert str(folder) in str(caught.value)
