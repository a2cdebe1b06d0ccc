"""The routes under ``/analysis`` (spec/data-api.md §3), made of the declarations in ``listings`` and ``singles``."""

from typing import Annotated

import fastapi
from fastapi import FastAPI

from common import product
from common.host.api import JsonResponse, new_api
from functions.api_analysis.correlation import add_correlation
from functions.api_analysis.listings import LISTINGS, Listing
from functions.api_analysis.models import (
    ListingQuery,
    SingleQuery,
    listing_answer,
    listing_query,
    single_answer,
    single_query,
)
from functions.api_analysis.overview import add_overview
from functions.api_analysis.reader import AnalysisReader
from functions.api_analysis.regime import add_regime
from functions.api_analysis.singles import SINGLES


def build_api(reader: AnalysisReader) -> FastAPI:
    """Return the application of the group."""
    api = new_api(product.TITLE, "Computed analytics. Nothing is computed in a request.")
    for listing in LISTINGS:
        _add_listing(api, reader, listing)
    for single in SINGLES:
        _add_single(api, reader, single)
    add_regime(api, reader)
    add_correlation(api, reader)
    add_overview(api, reader)
    return api


def _add_listing(api: FastAPI, reader: AnalysisReader, listing: Listing) -> None:
    async def read(query: ListingQuery) -> JsonResponse:
        return JsonResponse(await reader.listing(listing, query))

    read.__annotations__["query"] = Annotated[listing_query(listing), fastapi.Query()]
    api.add_api_route(
        f"/analysis/{listing.metric.name}",
        read,
        name=listing.metric.name,
        summary=listing.summary,
        response_model=listing_answer(listing),
    )


def _add_single(api: FastAPI, reader: AnalysisReader, single: Listing) -> None:
    async def read(query: SingleQuery) -> JsonResponse:
        return JsonResponse(await reader.single(single, query))

    read.__annotations__["query"] = Annotated[single_query(single), fastapi.Query()]
    api.add_api_route(
        f"/analysis/{single.metric.name}",
        read,
        name=single.metric.name,
        summary=single.summary,
        response_model=single_answer(single),
        responses={404: {"description": "There is no document of this pair in the span that was asked for."}},
    )
