"""How old an answer is: the header that every route of the group carries."""

from collections.abc import Iterable
from typing import Final

from common.analytics.metrics import DOCUMENTS
from common.storage.ports import AnalyticsDocument
from common.timeframes import Timeframe
from common.times import SECOND_MS

HEADER: Final = "x-data-status"
SAYS: Final = (
    "`fresh` or `stale`, and the age in seconds of the newest document of what is shown (of several documents side by "
    "side, the oldest): `fresh; age=240`. Stale is what is older than two of its cycles; without any document there is "
    "no age."
)
_CYCLES: Final = 2


def data_status(documents: Iterable[AnalyticsDocument], now_ms: int, interval_ms: int) -> str:
    """Return what the header says.

    Args:
        documents: the documents that the answer rests on; the oldest of them decides.
        now_ms: the present.
        interval_ms: length of a cycle of the metrics that are computed in every one.
    """
    ages = [(now_ms - document.as_of_ms, _cycle_ms(document, interval_ms)) for document in documents]
    if not ages:
        return "stale"
    is_stale = any(age_ms > _CYCLES * cycle_ms for age_ms, cycle_ms in ages)
    oldest_ms = max(age_ms for age_ms, _ in ages)
    return f"{'stale' if is_stale else 'fresh'}; age={max(0, oldest_ms) // SECOND_MS}"


def _cycle_ms(document: AnalyticsDocument, interval_ms: int) -> int:
    if document.timeframe is None or not DOCUMENTS[document.metric].once_a_candle:
        return interval_ms
    return max(interval_ms, Timeframe(document.timeframe).duration_ms)
