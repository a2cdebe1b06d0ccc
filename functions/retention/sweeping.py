"""A sweep: one chunk of every rule in turn, until nothing old is left or the time for one event is used up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from prometheus_client import Counter

from common.clock import Clock
from common.settings import Settings
from common.storage.ports import AnalyticsStore, MarketStore, MetadataStore
from functions.retention.rules import Rule, Stores, rules_of

log = logging.getLogger(__name__)

DELETED = Counter("data_manager_retention_deleted_total", "Rows deleted because of their age", ["dataset"])
UNFINISHED = Counter("data_manager_retention_unfinished_total", "Sweeps that left old rows to the next one")

# A chunk holds the store's writer for some tens of milliseconds; ingest writes between two chunks.
CHUNK_ROWS: Final = 5000
# Well below the delivery timeout of an event: the next slot goes on where this sweep ends.
SWEEP_MS: Final = 20_000


class Sweeper:
    """Deletes what is too old by the configured rules.

    Args:
        settings: say what goes at which age.
        clock: ages are counted from its present at the latest.
        market: the store of market data.
        analytics: the store of documents.
        metadata: opens the store of metadata.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        market: MarketStore,
        analytics: AnalyticsStore,
        metadata: Callable[[], Awaitable[MetadataStore]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._market = market
        self._analytics = analytics
        self._metadata = metadata

    async def sweep(self) -> Mapping[str, int]:
        """Delete what is too old now and return how many rows went, by the name of the rule.

        Raises:
            StoreUnavailable: a store could not delete; what went before is gone and counted.
        """
        stores = Stores(self._market, self._analytics, await self._metadata())
        return await sweep(rules_of(self._settings, stores), self._clock)


async def sweep(
    rules: Sequence[Rule], clock: Clock, *, chunk_rows: int = CHUNK_ROWS, sweep_ms: int = SWEEP_MS
) -> Mapping[str, int]:
    """Apply rules in turns.

    Args:
        rules: what goes at which age; without rules nothing is deleted.
        clock: ages are counted from its present at the latest, and the sweep ends by it.
        chunk_rows: rows deleted at a time.
        sweep_ms: how long a sweep may take; the chunk that is running then is the last.

    Returns:
        How many rows went, by the name of the rule.
    """
    started_ms = clock.now_ms()
    deleted = {rule.name: 0 for rule in rules}
    left = [(rule, cutoff_ms) for rule in rules if (cutoff_ms := await _cutoff_ms(rule, started_ms)) is not None]
    while left:
        rule, cutoff_ms = left.pop(0)
        count = await rule.delete(cutoff_ms, chunk_rows)
        deleted[rule.name] += count
        DELETED.labels(rule.name).inc(count)
        if count >= chunk_rows:
            left.append((rule, cutoff_ms))
        if clock.now_ms() - started_ms >= sweep_ms:
            break
        await asyncio.sleep(0)  # waiting work runs between two chunks
    _report(deleted, [rule for rule, _ in left])
    return deleted


async def _cutoff_ms(rule: Rule, now_ms: int) -> int | None:
    """Return the instant before which rows go, or None when there are none.

    By the present an empty family would be asked for what arrives only afterwards, and a recording that is being
    replayed into it would be deleted.
    """
    if rule.newest_ms is None:
        return now_ms - rule.age_ms
    newest_ms = await rule.newest_ms()
    return None if newest_ms is None else min(now_ms, newest_ms) - rule.age_ms


def _report(deleted: Mapping[str, int], left: Sequence[Rule]) -> None:
    if left:
        UNFINISHED.inc()
    counts = {name: count for name, count in deleted.items() if count}
    log.info("old rows deleted", extra={"deleted": counts, "unfinished": [rule.name for rule in left]})
