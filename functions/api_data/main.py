"""Serves stored market data: ``/data/…``."""

from common.host import Opening, opener, route_group
from functions.api_data.reader import MarketReader
from functions.api_data.routes import build_api


@opener
async def open_reader(opening: Opening) -> MarketReader:
    """Open the market store for reading."""
    return MarketReader(await opening.market_store(), opening.context.clock)


api_data = route_group("api_data", resources=open_reader, build=build_api)
