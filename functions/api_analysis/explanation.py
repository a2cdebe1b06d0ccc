"""What a document was computed from and how: the block that ``?explain=1`` adds to every answer."""

from collections.abc import Sequence
from typing import Any

from common.analytics.declaration import collection_name
from common.analytics.metrics import DOCUMENTS
from common.storage.ports import AnalyticsDocument


def explained(document: AnalyticsDocument, symbols: Sequence[str] = ()) -> dict[str, object]:
    """Return the datasets, window, parameters and rows behind a document, and its lineage.

    Args:
        document: the document.
        symbols: the pairs that it was computed from, when they are others than the one it is about.
    """
    body = document.body
    metadata: Any = body.get("metadata", {})
    metric = DOCUMENTS[document.metric]
    inputs = metric.input_datasets(symbols or [document.symbol], document.timeframe)
    return {
        "inputs": inputs,
        "window": metadata.get("window"),
        "parameters": metadata.get("parameters", {}),
        "as_of": body.get("as_of"),
        "data_until": body.get("data_until"),
        "rows_used": body.get("rows_used"),
        "warmup_complete": body.get("warmup_complete"),
        "lineage": [
            {
                "dataset_id": collection_name(document.symbol, document.metric),
                "source_dataset_id": source,
                "transformation": metric.transformation,
            }
            for source in inputs
        ],
    }
