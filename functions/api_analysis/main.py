"""Serves computed analytics: ``/analysis/…``."""

from common.host import Opening, opener, route_group
from functions.api_analysis.reader import AnalysisReader
from functions.api_analysis.routes import build_api


@opener
async def open_reader(opening: Opening) -> AnalysisReader:
    """Open the analytics store for reading."""
    context = opening.context
    return AnalysisReader(await opening.analytics_store(), context.clock, context.settings)


api_analysis = route_group("api_analysis", resources=open_reader, build=build_api)
