"""What a document was computed from and how: the block that ``?explain=1`` adds to every answer."""

from collections.abc import Sequence
from typing import Any

from common.analytics.lineage import input_datasets, output_dataset
from common.storage.ports import AnalyticsDocument


def explained(document: AnalyticsDocument, symbols: Sequence[str] = ()) -> dict[str, object]:
    """Return the datasets, window, parameters and rows behind a document, and its lineage.

    Args:
        document: the document.
        symbols: the pairs that it was computed from, when they are others than the one it is about.
    """
    body = document.body
    metadata: Any = body.get("metadata", {})
    inputs = input_datasets(document.metric, symbols or [document.symbol], document.timeframe)
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
                "dataset_id": output_dataset(document.metric, document.symbol),
                "source_dataset_id": source,
                "transformation": f"{document.metric}_calculator",
            }
            for source in inputs
        ],
    }
