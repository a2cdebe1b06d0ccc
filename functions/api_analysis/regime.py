"""``/analysis/regime``: the regime of the rules, and beside it the one that a model of the same period found."""

from typing import Annotated, Any, Final

import fastapi
from fastapi import FastAPI
from pydantic import Field, create_model

from common.analytics import metrics
from common.host.api import JsonResponse
from common.host.parameters import MAX_LIMIT, Period
from common.storage.ports import AnalyticsDocument, Window
from common.timeframes import Timeframe
from common.times import parse_instant, to_iso
from functions.api_analysis.listings import Listing, same
from functions.api_analysis.models import Answer, SeriesQuery, single_answer, single_query
from functions.api_analysis.reader import AnalysisReader

MODEL_FIELDS: Final = (
    "model_regime",
    "model_probability",
    "state_probabilities",
    "expected_duration_bars",
    "model_as_of",
)


class Inputs(Answer):
    """What the levels of a regime were read from."""

    annualized_volatility: str | None
    volume_spike_ratio: str | None
    rate_of_change: str | None


REGIME: Final = Listing(
    metrics.REGIME,
    "Market regime: by rules, by rules with hysteresis, and by a model",
    fields=same(
        "regime",
        "volatility_level",
        "volume_level",
        "trend_direction",
        "confidence",
        "stable_regime",
        "inputs",
        *MODEL_FIELDS,
    ),
    windows=(metrics.REGIME.window,),
    types={"inputs": Inputs | None, "state_probabilities": dict[str, str | None] | None},
)


def add_regime(api: FastAPI, reader: AnalysisReader) -> None:
    """Add the route."""

    async def read(query: SeriesQuery) -> JsonResponse:
        return JsonResponse(await regime(reader, query))

    period = Field(default=Timeframe.H1, description="Candle interval.")
    model = create_model("RegimeQuery", __base__=single_query(REGIME), period=(Period, period))
    read.__annotations__["query"] = Annotated[model, fastapi.Query()]
    api.add_api_route(
        "/analysis/regime",
        read,
        name="regime",
        summary=REGIME.summary,
        response_model=single_answer(REGIME),
        responses={404: {"description": "There is no document of this pair in the span that was asked for."}},
    )


async def regime(reader: AnalysisReader, query: SeriesQuery) -> dict[str, Any]:
    """Return the newest regime of a pair, and those before it when the query asks for history.

    The newest document stands beside the newest of the model, one of the history beside that of the same instant.

    Raises:
        NotFound: there is none in the span that was asked for.
    """
    answer: dict[str, Any] = await reader.single(REGIME, query)
    newest = await reader.newest(query.pair, metrics.REGIME_MODEL.name, query.period, end_ms=query.end)
    answer["data"] = _joined(answer["data"], newest)
    if answer.get("values"):
        models = await _models(reader, query, [value["as_of"] for value in answer["values"]])
        answer["values"] = [_joined(value, models.get(value["as_of"])) for value in answer["values"]]
    return answer


async def _models(reader: AnalysisReader, query: SeriesQuery, instants: list[str]) -> dict[str, AnalyticsDocument]:
    """Return the documents of the model by the instant that they are about."""
    times = [parse_instant(instant) for instant in instants]
    window = Window(min(times), max(times) + 1, limit=MAX_LIMIT)
    documents = await reader.documents(query.pair, metrics.REGIME_MODEL.name, query.period, window)
    return {to_iso(document.as_of_ms): document for document in documents}


def _joined(value: dict[str, Any], model: AnalyticsDocument | None) -> dict[str, Any]:
    """Return a value with the fields of the model, those of them that it shows."""
    if model is None:
        return value
    known = {**model.body, "model_as_of": to_iso(model.as_of_ms)}
    return value | {name: known.get(name) for name in MODEL_FIELDS if name in value}
