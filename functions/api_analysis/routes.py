"""The routes under ``/analysis`` (spec/data-api.md §3), made of the declarations of the metrics."""

from typing import Annotated

import fastapi
from fastapi import FastAPI

from common import product
from common.analytics.declaration import Metric, Served
from common.analytics.metrics import METRICS
from common.host.api import JsonResponse
from functions.api_analysis.correlation import add_correlation
from functions.api_analysis.models import (
    ListingQuery,
    SingleQuery,
    listing_answer,
    listing_query,
    single_answer,
    single_query,
)
from functions.api_analysis.old_api import new_api
from functions.api_analysis.overview import add_overview
from functions.api_analysis.reader import AnalysisReader
from functions.api_analysis.regime import add_regime


def build_api(reader: AnalysisReader) -> FastAPI:
    """Return the application of the group."""
    api = new_api(product.TITLE, "Computed analytics. Nothing is computed in a request.")
    for metric in METRICS.values():
        if metric.served is Served.LIST:
            _add_listing(api, reader, metric)
        elif metric.served is Served.NEWEST:
            _add_single(api, reader, metric)
    add_regime(api, reader)
    add_correlation(api, reader)
    add_overview(api, reader)
    return api


def _add_listing(api: FastAPI, reader: AnalysisReader, metric: Metric) -> None:
    async def read(query: ListingQuery) -> JsonResponse:
        return JsonResponse(await reader.listing(metric, query))

    read.__annotations__["query"] = Annotated[listing_query(metric), fastapi.Query()]
    api.add_api_route(
        f"/analysis/{metric.name}",
        read,
        name=metric.name,
        summary=metric.says,
        response_model=listing_answer(metric),
    )


def _add_single(api: FastAPI, reader: AnalysisReader, metric: Metric) -> None:
    async def read(query: SingleQuery) -> JsonResponse:
        return JsonResponse(await reader.single(metric, query))

    read.__annotations__["query"] = Annotated[single_query(metric), fastapi.Query()]
    api.add_api_route(
        f"/analysis/{metric.name}",
        read,
        name=metric.name,
        summary=metric.says,
        response_model=single_answer(metric),
        responses={404: {"description": "There is no document of this pair in the span that was asked for."}},
    )
