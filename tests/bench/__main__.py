"""``python -m tests.bench [--only NAME]``: measure, print the table, write ``.bench/latest.json``."""

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Final

from tests.bench.report import Figure, save, show

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
# As every Service sets it; read when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

RESULTS: Final = Path(".bench/latest.json")


def main() -> int:
    """Measure what was asked for; 1 when a budget does not hold."""
    parser = argparse.ArgumentParser(description="Measure against the budgets of the design.")
    parser.add_argument("--only", choices=MEASUREMENTS, metavar="NAME", help=", ".join(MEASUREMENTS))
    only = parser.parse_args().only
    figures: list[Figure] = []
    for name in [only] if only else MEASUREMENTS:
        print(f"measuring {name} …", flush=True)
        module, function = MEASUREMENTS[name]
        figures += getattr(importlib.import_module(module), function)()
    show(figures)
    save(figures, RESULTS)
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
