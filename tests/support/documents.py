"""Stored analytics documents for tests of what serves them: one every quarter of an hour from a fixed time on."""

from collections.abc import Mapping
from typing import Any

from common.analytics.declaration import Metric
from common.storage.ports import AnalyticsDocument
from common.times import HOUR_MS, MINUTE_MS, to_iso

FIRST_MS = 1_760_918_400_000  # 2025-10-20T00:00:00Z
SLOT_MS = 15 * MINUTE_MS


def as_of(*slots: int) -> list[str]:
    """Return what the documents of these slots are about."""
    return [to_iso(FIRST_MS + slot * SLOT_MS) for slot in slots]


def names(metric: Metric) -> set[str]:
    """Return the names under which the fields of a metric are served."""
    return {field.name for field in metric.fields}


def document(
    metric: Metric, slot: int, fields: Mapping[str, Any], timeframe: str | None = "1h", **parameters: Any
) -> AnalyticsDocument:
    """Return a document about BTCUSDT as a calculator stores it; its completeness tells its slot."""
    as_of_ms = FIRST_MS + slot * SLOT_MS
    computed_at_ms = as_of_ms + 4_100
    body: dict[str, Any] = {
        "symbol": "BTCUSDT",
        **({} if timeframe is None else {"timeframe": timeframe}),
        "timestamp": to_iso(computed_at_ms),
        "as_of": to_iso(as_of_ms),
        "data_until": to_iso(as_of_ms // HOUR_MS * HOUR_MS),
        "rows_used": 720,
        "warmup_complete": True,
        **fields,
        "metadata": {
            "method": metric.method,
            "window": metric.window,
            "parameters": parameters,
            "completeness": 90.0 + slot / 2,
            "computed_at": to_iso(computed_at_ms),
        },
    }
    return AnalyticsDocument("BTCUSDT", metric.name, timeframe, as_of_ms, computed_at_ms, body)
