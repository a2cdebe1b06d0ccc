"""The query parameters of the routes under ``/data``."""

from typing import Annotated

from pydantic import Field

from common.host.parameters import Pair, Period, Query, RangeQuery


class PairQuery(Query):
    """Which pair."""

    pair: Pair


class SeriesQuery(RangeQuery):
    """Which rows of a pair's series."""

    pair: Pair


class CandlesQuery(SeriesQuery):
    """Which candles."""

    period: Period


class TradesQuery(SeriesQuery):
    """Which trades."""

    aggregated: Annotated[
        bool, Field(description="Serve aggregated trades (the fills of one taker order at one price).")
    ] = False
