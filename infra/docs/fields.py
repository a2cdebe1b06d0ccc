"""Writes ``fields.md``: every field of the computed documents, as the calculators declare it.

Run ``python -m infra.docs.fields`` after changing a declaration; a test compares the page with what this would write.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from common.analytics.declaration import MARKET, Field, Kind, ListOf, Metric, Record, Shape, Source, collection_name
from common.analytics.document import BASIS
from common.analytics.metrics import DOCUMENTS

PAGE: Final = Path(__file__).with_name("fields.md")

_HEAD: Final = """\
# Fields

Every field of the computed documents: under which name it is served, its unit, what it says, how it is computed and
from what. Made of the declarations in `common/analytics/calculators` by `python -m infra.docs.fields`; not written by
hand.

Decimals are strings of digits without exponent; what could not be computed is null. C, O, H, L, V are close, open,
high, low and base volume of a candle, r is a log return, x̄ a mean, x₋₁ the value of the bar before. Times are UTC.
Candles are closed ones; a return across a missing candle is left out.

## Every document
"""
_COLUMNS: Final = "| field | type | unit | says | formula | source |\n|---|---|---|---|---|---|"
_ROUTES: Final = {
    "regime_model": "`/analysis/regime`",
    "correlation": "`/analysis/correlation` (`details`)",
    "correlation_matrix": "`/analysis/correlation` (`correlation_matrix`, `market`)",
}


def page() -> str:
    """Return the page."""
    sections = (_section(metric) for metric in DOCUMENTS.values())
    return "\n".join((_HEAD, _table(BASIS), "", *sections))


def _section(metric: Metric) -> str:
    """One kind of document: where it is served and stored, its window, its fields, and those of the objects in them."""
    route = _ROUTES.get(metric.name, f"`/analysis/{metric.name}`")
    collection = collection_name(MARKET if metric.calculator else "{symbol}", metric.name)
    window = f"window {metric.window}" + (f", at least {metric.window_bars} bars" if metric.window_bars else "")
    objects = (f"\n### {one.name}\n\n{one.says}\n\n{_table(one.fields)}" for one in _records(metric.fields))
    parts = (
        f"## {metric.name}\n",
        f"{metric.says}.\n",
        f"Served by {route}, stored in `{collection}`; method `{metric.method}`, {window}.\n",
        _table(metric.fields, (metric.source,)),
        *objects,
    )
    return "\n".join(parts) + "\n"


def _records(fields: Sequence[Field]) -> Iterator[Record]:
    found = (getattr(field.shape, "item", field.shape) for field in fields)
    yield from dict.fromkeys(one for one in found if isinstance(one, Record))


def _table(fields: Sequence[Field], sources: tuple[Source, ...] = ()) -> str:
    return "\n".join((_COLUMNS, *(_row(field, sources) for field in fields)))


def _row(field: Field, sources: tuple[Source, ...]) -> str:
    name = f"`{field.name}`" + (f" (stored as `{field.stored}`)" if field.stored else "")
    read = ", ".join(source.dataset_id("{symbol}", "{timeframe}") for source in field.sources or sources)
    cells = (name, _type(field.shape, field.values), field.unit, field.says, field.formula, read and f"`{read}`")
    return "| " + " | ".join(cell.replace("|", "\\|") or "–" for cell in cells) + " |"


def _type(shape: Shape, values: tuple[str, ...] = ()) -> str:
    if values:
        return " ".join(f"`{value}`" for value in values)
    if isinstance(shape, Kind):
        return shape.value
    if isinstance(shape, Record):
        return shape.name
    if isinstance(shape, ListOf):
        return f"list of {_type(shape.item)}"
    return f"{_type(shape.item)} by {shape.keys}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
