"""``/analysis/regime``: the regime of the rules, and beside it the one that a model of the same period found."""

from dataclasses import replace
from typing import Any, Final

from pydantic import Field as PydanticField
from pydantic import create_model

from common.analytics.calculators.regime import REGIME
from common.analytics.calculators.regime_model import REGIME_MODEL
from common.analytics.declaration import Field, Kind
from common.host.parameters import MAX_LIMIT, Period
from common.storage.ports import AnalyticsDocument, Window
from common.timeframes import Timeframe
from common.times import parse_instant, to_iso
from functions.api_analysis.models import SeriesQuery, single_query
from functions.api_analysis.reader import AnalysisReader, Reading

MODEL_FIELDS: Final = (
    *REGIME_MODEL.fields,
    Field("model_as_of", "UTC", "The instant that the model's document is about.", shape=Kind.TEXT),
)
# What the route shows: the rules, and the model beside them.
SHOWN: Final = replace(REGIME, fields=(*REGIME.fields, *MODEL_FIELDS))


_Query: Any = single_query(SHOWN)
RegimeQuery: Final[type[SeriesQuery]] = create_model(
    "RegimeQuery",
    __base__=_Query,
    period=(Period, PydanticField(default=Timeframe.H1, description="Candle interval.")),
)


async def regime(reader: AnalysisReader, query: SeriesQuery) -> Reading:
    """Return the newest regime of a pair, and those before it when the query asks for history.

    The newest document stands beside the newest of the model, one of the history beside that of the same instant.

    Raises:
        NotFound: there is none in the span that was asked for.
    """
    body, documents = await reader.single(SHOWN, query)
    model = await reader.newest(query.pair, REGIME_MODEL.name, query.period, end_ms=query.end)
    if not documents or model is None:
        return Reading(body, documents)
    body["data"] = _joined(body["data"], model)
    if body.get("values"):
        models = await _models(reader, query, [value["as_of"] for value in body["values"]])
        body["values"] = [_joined(value, models.get(value["as_of"])) for value in body["values"]]
    return Reading(body, (*documents, model))


async def _models(reader: AnalysisReader, query: SeriesQuery, instants: list[str]) -> dict[str, AnalyticsDocument]:
    """Return the documents of the model by the instant that they are about."""
    times = [parse_instant(instant) for instant in instants]
    window = Window(min(times), max(times) + 1, limit=MAX_LIMIT)
    documents = await reader.documents(query.pair, REGIME_MODEL.name, query.period, window)
    return {to_iso(document.as_of_ms): document for document in documents}


def _joined(value: dict[str, Any], model: AnalyticsDocument | None) -> dict[str, Any]:
    """Return a value with the fields of the model, those of them that it shows."""
    if model is None:
        return value
    known = {**model.body, "model_as_of": to_iso(model.as_of_ms)}
    return value | {field.name: known.get(field.key) for field in MODEL_FIELDS if field.name in value}
