"""What the stores tell of themselves: which series changed when, and which facts contradict each other.

Changes are the source of revisions, of what follows a series as it grows, and of caches; contradictions are evidence
for findings. Both are kept for a while only.
"""

import json
from typing import Final, NamedTuple

from common.models.rows import MarketRow
from common.times import DAY_MS

CHANGES: Final = "changes"
CONTRADICTIONS: Final = "contradictions"

# A reader that was away for longer begins anew.
CHANGES_AGE_MS: Final = DAY_MS
CONTRADICTIONS_AGE_MS: Final = 90 * DAY_MS
# A source gone mad contradicts everything; that many of a batch are evidence enough, and all are counted.
CONTRADICTIONS_KEPT: Final = 100


class Change(NamedTuple):
    """What one batch, document or deletion did to one series.

    Attributes:
        number: later changes have higher ones; a reader goes on behind the last one that it has seen.
        dataset_id: the series: ``candles_BTCUSDT_1h``, ``analytics_BTCUSDT_trend_1h``.
        first_ms: no row before this time was touched; ``None`` where that is not known.
        last_ms: no row after this time was touched; ``None`` where that is not known.
        inserted: rows that are new.
        updated: rows that are other than before.
        deleted: rows that are gone. A change that was cut off has no counts at all.
        time_ms: when.
    """

    number: int
    dataset_id: str
    first_ms: int | None
    last_ms: int | None
    inserted: int
    updated: int
    deleted: int
    time_ms: int


class Contradiction(NamedTuple):
    """A fact that was offered under the key of another one. The stored one stays.

    Attributes:
        dataset_id: the series.
        key: what tells the fact from the others of the series: its id, or its time where it has none.
        stored: the fact that stays, as JSON text.
        offered: the fact that was not stored, as JSON text.
        time_ms: when it was offered first.
    """

    dataset_id: str
    key: int
    stored: str
    offered: str
    time_ms: int


def fact_text(fact: MarketRow) -> str:
    """Return a fact as JSON text, by the names of its fields."""
    return json.dumps(fact._asdict(), separators=(",", ":"))
