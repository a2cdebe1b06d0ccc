"""Serves stored market data: ``/data/…``."""

from common.host import Opening, opener, route_group
from common.host.answers import Compat
from functions.api_data.reader import MarketReader
from functions.api_data.routes import build_api


@opener
async def open_reader(opening: Opening) -> MarketReader:
    """Open the market store for reading."""
    context = opening.context
    return MarketReader(await opening.market_store(), context.clock, Compat(context.settings.petrosa_compat))


api_data = route_group("api_data", resources=open_reader, build=build_api)
