"""The routes under ``/analysis`` (spec/data-api.md §3), made of the declarations in ``listings``."""

from typing import Annotated

import fastapi
from fastapi import FastAPI

from common import product
from common.host.api import JsonResponse, new_api
from functions.api_analysis.listings import LISTINGS, Listing
from functions.api_analysis.models import ListingQuery, answer_model, query_model
from functions.api_analysis.reader import AnalysisReader


def build_api(reader: AnalysisReader) -> FastAPI:
    """Return the application of the group."""
    api = new_api(product.TITLE, "Computed analytics. Nothing is computed in a request.")
    for listing in LISTINGS:
        _add_listing(api, reader, listing)
    return api


def _add_listing(api: FastAPI, reader: AnalysisReader, listing: Listing) -> None:
    async def read(query: ListingQuery) -> JsonResponse:
        return JsonResponse(await reader.listing(listing, query))

    read.__annotations__["query"] = Annotated[query_model(listing), fastapi.Query()]
    api.add_api_route(
        f"/analysis/{listing.metric.name}",
        read,
        name=listing.metric.name,
        summary=listing.summary,
        response_model=answer_model(listing),
    )
