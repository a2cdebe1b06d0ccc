"""``/analysis/regime``: the regime of the rules, and beside it the one that a model of the same period found."""

from dataclasses import replace
from typing import Annotated, Any, Final

import fastapi
import pydantic
from fastapi import FastAPI

from common.analytics.calculators.regime import REGIME
from common.analytics.calculators.regime_model import REGIME_MODEL
from common.analytics.declaration import Field, Kind
from common.host.api import JsonResponse
from common.host.parameters import MAX_LIMIT, Period
from common.storage.ports import AnalyticsDocument, Window
from common.timeframes import Timeframe
from common.times import parse_instant, to_iso
from functions.api_analysis.models import SeriesQuery, single_answer, single_query
from functions.api_analysis.reader import AnalysisReader

MODEL_FIELDS: Final = (
    *REGIME_MODEL.fields,
    Field("model_as_of", "UTC", "The instant that the model's document is about.", shape=Kind.TEXT),
)
# What the route shows: the rules, and the model beside them.
SHOWN: Final = replace(REGIME, fields=(*REGIME.fields, *MODEL_FIELDS))


def add_regime(api: FastAPI, reader: AnalysisReader) -> None:
    """Add the route."""

    async def read(query: SeriesQuery) -> JsonResponse:
        return JsonResponse(await regime(reader, query))

    period = pydantic.Field(default=Timeframe.H1, description="Candle interval.")
    model = pydantic.create_model("RegimeQuery", __base__=single_query(SHOWN), period=(Period, period))
    read.__annotations__["query"] = Annotated[model, fastapi.Query()]
    api.add_api_route(
        "/analysis/regime",
        read,
        name="regime",
        summary=REGIME.says,
        response_model=single_answer(SHOWN),
        responses={404: {"description": "There is no document of this pair in the span that was asked for."}},
    )


async def regime(reader: AnalysisReader, query: SeriesQuery) -> dict[str, Any]:
    """Return the newest regime of a pair, and those before it when the query asks for history.

    The newest document stands beside the newest of the model, one of the history beside that of the same instant.

    Raises:
        NotFound: there is none in the span that was asked for.
    """
    answer: dict[str, Any] = await reader.single(SHOWN, query)
    newest = await reader.newest(query.pair, REGIME_MODEL.name, query.period, end_ms=query.end)
    answer["data"] = _joined(answer["data"], newest)
    if answer.get("values"):
        models = await _models(reader, query, [value["as_of"] for value in answer["values"]])
        answer["values"] = [_joined(value, models.get(value["as_of"])) for value in answer["values"]]
    return answer


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
