"""The routes under ``/data``."""

from common.host.api import Api, Route
from functions.api_data.models import (
    CandlesAnswer,
    DepthAnswer,
    FundingRate,
    MarkPrice,
    SeriesAnswer,
    Ticker,
    TradesAnswer,
)
from functions.api_data.queries import CandlesQuery, PairQuery, SeriesQuery, TradesQuery
from functions.api_data.reader import MarketReader


def build_api(reader: MarketReader) -> Api:
    """Return the application of the group."""
    return Api(
        "Stored market data, digit for digit.",
        [
            Route(
                "/data/candles",
                reader.candles,
                query=CandlesQuery,
                model=CandlesAnswer,
                summary="Candles by open time",
            ),
            Route(
                "/data/trades",
                reader.trades,
                query=TradesQuery,
                model=TradesAnswer,
                summary="Trades, single or aggregated",
            ),
            Route(
                "/data/depth",
                reader.depth,
                query=PairQuery,
                model=DepthAnswer,
                summary="The newest order book",
                responses={404: "No order book of the pair is stored."},
            ),
            Route(
                "/data/funding",
                reader.funding_rates,
                query=SeriesQuery,
                model=SeriesAnswer[FundingRate],
                summary="Funding rates by funding time",
            ),
            Route(
                "/data/tickers",
                reader.tickers,
                query=SeriesQuery,
                model=SeriesAnswer[Ticker],
                summary="24-hour tickers",
            ),
            Route(
                "/data/mark-prices",
                reader.mark_prices,
                query=SeriesQuery,
                model=SeriesAnswer[MarkPrice],
                summary="Mark prices",
            ),
        ],
    )
