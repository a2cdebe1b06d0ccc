"""Stored analytics documents for tests of what serves them: one every quarter of an hour from a fixed time on."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from common.analytics.declaration import Metric
from common.clock import FixedClock
from common.settings import Settings
from common.storage.open import open_analytics_store
from common.storage.ports import AnalyticsDocument, AnalyticsStore
from common.times import HOUR_MS, MINUTE_MS, to_iso
from functions.api_analysis.reader import AnalysisReader
from functions.api_analysis.routes import build_api
from tests.support.api import opened_for_each

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


class StoredDocuments:
    """Documents in the file of a folder, and the application that serves them at an instant."""

    def __init__(self, folder: Path, now_ms: int, **settings: Any) -> None:
        self.folder = folder
        self._clock = FixedClock(now_ms)
        self._settings = Settings(petrosa_data_dir=folder, **settings)

    def save(self, *made: AnalyticsDocument) -> None:
        """Store documents."""

        async def run() -> None:
            async with self._opened() as store:
                await store.save(made)

        asyncio.run(run())

    @property
    def app(self) -> ASGIApp:
        """The application; its store is opened for every request."""

        @asynccontextmanager
        async def group() -> AsyncIterator[ASGIApp]:
            async with self._opened() as store:
                yield build_api(AnalysisReader(store, self._clock, self._settings))

        return opened_for_each(group)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[AnalyticsStore]:
        store = await open_analytics_store(self._settings)
        try:
            yield store
        finally:
            await store.close()

    def destroy(self) -> None:
        """Make the store one that cannot be asked: a folder stands where its file was."""
        shutil.rmtree(self.folder)
        (self.folder / "market.db").mkdir(parents=True)
