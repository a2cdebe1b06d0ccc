"""Prometheus text of several processes as one, told apart by the label ``process``; and reading figures from it."""

from collections.abc import Iterable, Mapping
from typing import Final

_HELP: Final = "# HELP "
_TYPE: Final = "# TYPE "


def merged(texts: Mapping[str, str]) -> str:
    """Return one exposition of all processes.

    Args:
        texts: process name → its exposition as ``prometheus_client`` writes it (each family opened by its HELP and
            TYPE lines).

    Returns:
        Each family once, its samples grouped and labelled with the process.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for process, text in texts.items():
        family = ""
        for line in text.splitlines():
            if line.startswith((_HELP, _TYPE)):
                family = line.split(" ", 3)[2]
                head = heads.setdefault(family, [])
                if not any(known.startswith(line[: len(_HELP)]) for known in head):
                    head.append(line)
            elif line and not line.startswith("#"):
                samples.setdefault(family, []).append(_labelled(line, process))
    return "".join(f"{line}\n" for name in samples for line in (*heads.get(name, ()), *samples[name]))


def _labelled(sample: str, process: str) -> str:
    label = f'process="{process}"'
    brace, space = sample.find("{"), sample.find(" ")
    if 0 <= brace < space:
        return f"{sample[: brace + 1]}{label},{sample[brace + 1 :]}"
    return f"{sample[:space]}{{{label}}}{sample[space:]}"


def values(text: str, metric: str) -> dict[str, float]:
    """Return the samples of one metric by their label text as it stands (empty without labels)."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith(metric):
            continue
        rest = line[len(metric) :]
        if rest.startswith("{"):
            labels, _, number = rest[1:].rpartition("} ")
        elif rest.startswith(" "):
            labels, number = "", rest[1:]
        else:
            continue
        found[labels] = float(number.split(" ")[0])
    return found


def total(texts: Iterable[str], metric: str) -> float:
    """Return the sum of all samples of a metric over several expositions."""
    return sum(sum(values(text, metric).values()) for text in texts)
