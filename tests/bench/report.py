"""The result of a measurement beside its budget, as a table and as ``.bench/latest.json``."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: what was measured.
        value: the figure.
        unit: its unit.
        reference: the floor or ceiling measured in the same run, when there is one.
        ratio: value over reference.
        budget: the limit, in words.
        holds: whether the figure keeps the budget.
    """

    name: str
    value: float
    unit: str
    budget: str
    holds: bool
    reference: float | None = None
    ratio: float | None = None


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table(title="Measured against the budgets")
    for column in ("name", "value", "unit", "reference", "ratio", "budget", "holds"):
        table.add_column(column, justify="right" if column in {"value", "reference", "ratio"} else "left")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.value:,.2f}",
            figure.unit,
            "" if figure.reference is None else f"{figure.reference:,.2f}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            figure.budget,
            "yes" if figure.holds else "NO",
        )
    Console().print(table)


def save(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures; those of other measurements that stand in the file are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text()) if path.exists() else []
    names = {figure.name for figure in figures}
    rows = [row for row in kept if row["name"] not in names] + [asdict(figure) for figure in figures]
    path.write_text(json.dumps(rows, indent=1) + "\n")
