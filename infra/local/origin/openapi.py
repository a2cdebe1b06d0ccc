"""One OpenAPI document of all route groups."""

import json
from collections.abc import Mapping
from typing import Any, Final

from common import product

_REFERENCE: Final = "#/components/"

Document = dict[str, Any]


def merged(documents: Mapping[str, Document]) -> Document:
    """Return one document of several.

    Args:
        documents: name of the route group → its document. A component that two groups define differently under one
            name gets the name of its group in front.
    """
    paths: Document = {}
    components: dict[str, Document] = {}
    tags: list[Document] = []
    for group in sorted(documents):
        document = _renamed(documents[group], components, group)
        for path, item in document.get("paths", {}).items():
            paths.setdefault(path, {}).update(item)
        for section, entries in document.get("components", {}).items():
            components.setdefault(section, {}).update(entries)
        tags += [tag for tag in document.get("tags", []) if tag not in tags]
    info = {"title": product.TITLE, "version": product.VERSION}
    whole: Document = {"openapi": "3.1.0", "info": info, "paths": dict(sorted(paths.items())), "components": components}
    return {**whole, "tags": tags} if tags else whole


def _renamed(document: Document, known: Mapping[str, Document], group: str) -> Document:
    """Return the document with the components renamed that would replace different ones."""
    renames = {
        f"{_REFERENCE}{section}/{name}": f"{_REFERENCE}{section}/{group}.{name}"
        for section, entries in document.get("components", {}).items()
        for name, entry in entries.items()
        if known.get(section, {}).get(name, entry) != entry
    }
    if not renames:
        return document
    renamed: Document = _with_references(document, renames)
    for section, entries in renamed["components"].items():
        renamed["components"][section] = {
            renames.get(f"{_REFERENCE}{section}/{name}", name).rpartition("/")[2]: entry
            for name, entry in entries.items()
        }
    return renamed


def _with_references(node: Any, renames: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: renames.get(value, value) if key == "$ref" else _with_references(value, renames)
            for key, value in node.items()
        }
    return [_with_references(item, renames) for item in node] if isinstance(node, list) else node


def parsed(body: bytes) -> Document:
    """Return a document from its JSON."""
    document: Document = json.loads(body)
    return document
