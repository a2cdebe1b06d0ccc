"""The routes under ``/data`` (spec/data-api.md §2)."""

from common import product
from common.host.api import new_api
from functions.api_data.hot_routes import HotReads
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


def build_api(reader: MarketReader) -> HotReads:
    """Return the application of the group."""
    reads = HotReads(new_api(product.TITLE, "Stored market data, digit for digit."))
    reads.add(
        "/data/candles",
        query_model=CandlesQuery,
        answer=reader.candles,
        answer_model=CandlesAnswer,
        summary="Candles by open time",
    )
    reads.add(
        "/data/trades",
        query_model=TradesQuery,
        answer=reader.trades,
        answer_model=TradesAnswer,
        summary="Trades, single or aggregated",
    )
    reads.add(
        "/data/depth",
        query_model=PairQuery,
        answer=reader.depth,
        answer_model=DepthAnswer,
        summary="The newest order book",
        responses={404: {"description": "No order book of the pair is stored."}},
    )
    for path, answer, model, summary in (
        ("/data/funding", reader.funding_rates, SeriesAnswer[FundingRate], "Funding rates by funding time"),
        ("/data/tickers", reader.tickers, SeriesAnswer[Ticker], "24-hour tickers"),
        ("/data/mark-prices", reader.mark_prices, SeriesAnswer[MarkPrice], "Mark prices"),
    ):
        reads.add(path, query_model=SeriesQuery, answer=answer, answer_model=model, summary=summary)
    return reads
