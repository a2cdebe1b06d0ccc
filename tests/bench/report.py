"""The result of a measurement beside its budget, as a table and as ``.bench/latest.json``.

A figure that is compared with a floor is measured in turn with it (``in_turn``): what else the machine does meanwhile
slows both down, so their ratio within a round says more than the best of either, and the median over the rounds is
what counts. Absolute figures are those of this machine at this hour.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure, or why there is none.

    Attributes:
        name: what was measured.
        value: the figure; None when it could not be measured.
        unit: its unit.
        budget: the limit, in words.
        holds: whether the figure keeps the budget.
        reference: the floor or ceiling measured in the same run, when there is one.
        ratio: value over reference.
        missing: why it could not be measured.
    """

    name: str
    value: float | None
    unit: str
    budget: str
    holds: bool
    reference: float | None = None
    ratio: float | None = None
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Paired:
    """What was measured in turn with a floor: the medians of both, and the median of the ratios of the rounds."""

    value: float
    floor: float
    ratio: float


def paired(rounds: Sequence[tuple[float, float]]) -> Paired:
    """Return the medians of rounds, each of which holds a figure and its floor."""
    values, floors = zip(*rounds, strict=True)
    ratio = statistics.median(value / floor for value, floor in rounds)
    return Paired(statistics.median(values), statistics.median(floors), ratio)


def in_turn(ours: Callable[[], float], floor: Callable[[], float], rounds: int) -> Paired:
    """Measure two things in turn, each first in every other round."""
    measured = []
    for number in range(rounds):
        if number % 2 == 0:
            value = ours()
            measured.append((value, floor()))
        else:
            beside = floor()
            measured.append((ours(), beside))
    return paired(measured)


def show(figures: Sequence[Figure], console: Console | None = None) -> None:
    """Print the table: two lines a figure, so that it can be read at eighty columns."""
    table = Table(title="Measured against the budgets", box=SIMPLE_HEAD)
    table.add_column("what was measured\n  its budget", overflow="fold", ratio=1)
    table.add_column("value\nunit", justify="right", overflow="fold", max_width=16)
    table.add_column("ratio\nto", justify="right", no_wrap=True)
    table.add_column("holds", no_wrap=True)
    for figure in figures:
        table.add_row(*_cells(figure))
    (console or Console()).print(table)


def _cells(figure: Figure) -> tuple[Text, str, str, str]:
    if figure.value is None:
        return Text(f"{figure.name}\n  not measured: {figure.missing}"), "–", "", "?"
    reference = "" if figure.reference is None else f"{figure.reference:,.2f}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    held = ("yes" if figure.holds else "NO") if figure.budget else ""
    value = f"{figure.value:,.2f}\n{figure.unit}"
    return Text(f"{figure.name}\n  {figure.budget}"), value, f"{ratio}\n{reference}", held


def save(figure: Figure, path: Path) -> None:
    """Write a figure among those that stand in the file, in place of an earlier one; never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text()) if path.exists() else []
    rows = [row for row in kept if row["name"] != figure.name] + [asdict(figure)]
    partly = path.with_suffix(".partly")
    partly.write_text(json.dumps(rows, indent=1) + "\n")
    partly.replace(path)
