"""``python -m tests.bench [--only NAME]``: measure, write ``.bench/latest.json`` figure by figure, print the table.

Exit status: 0 when every budget holds, 1 when one does not, 2 when something could not be measured.
"""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.local.databases.missing import DatabaseMissing
from tests.bench.report import Figure, save, show
from tests.support.servers import prepare

# Name → where it is measured. Loaded one by one: a measurement must not pay for the imports of another.
MEASUREMENTS: Final = {
    "ingest-handler": ("tests.bench.ingest_handler", "measure"),
    "ingest-live": ("tests.bench.ingest_system", "live"),
    "ingest-backlog": ("tests.bench.ingest_system", "backlog"),
    "ingest-servers": ("tests.bench.ingest_system", "backlog_on_servers"),
    "ingest-age": ("tests.bench.ingest_system", "age"),
    "api-candles": ("tests.bench.api", "candles"),
    "api-analysis": ("tests.bench.api", "analysis"),
    "forecast": ("tests.bench.forecast_comparison", "measure"),
    "analytics-cycle": ("tests.bench.analytics_cycle", "measure"),
    "mongodb": ("tests.bench.mongodb", "measure"),
    "cold-start": ("tests.bench.cold_start", "measure"),
}
ON_SERVERS: Final = frozenset({"ingest-servers", "mongodb"})
# As every Service sets it; read when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

RESULTS: Final = Path(".bench/latest.json")

log = logging.getLogger(__name__)


def main() -> int:
    """Measure what was asked for and return the exit status."""
    parser = argparse.ArgumentParser(description="Measure against the budgets of the design.")
    parser.add_argument("--only", choices=MEASUREMENTS, metavar="NAME", help=", ".join(MEASUREMENTS))
    only = parser.parse_args().only
    names = [only] if only else list(MEASUREMENTS)
    if not ON_SERVERS.isdisjoint(names):
        prepare.main()
    figures: list[Figure] = []
    for name in names:
        print(f"measuring {name} …", flush=True)
        for figure in measured(name):
            save(figure, RESULTS)
            figures.append(figure)
    show(figures)
    if not all(figure.holds for figure in figures if figure.value is not None):
        return 1
    return 2 if any(figure.value is None for figure in figures) else 0


def measured(name: str) -> Iterator[Figure]:
    """Return the figures of a measurement; one that says why when it could not be taken."""
    module, function = MEASUREMENTS[name]
    try:
        yield from getattr(importlib.import_module(module), function)()
    except DatabaseMissing as missing:
        yield _missing(name, str(missing))
    except Exception as error:  # the process edge: the other measurements go on
        log.exception("%s could not be measured", name)
        yield _missing(name, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")


def _missing(name: str, reason: str) -> Figure:
    return Figure(name, None, "", "", holds=False, missing=reason)


if __name__ == "__main__":
    sys.exit(main())
