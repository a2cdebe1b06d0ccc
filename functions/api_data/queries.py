"""The query parameters of the routes under ``/data``."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from common.host.parameters import End, Limit, Offset, Pair, Period, Query, SortOrder, Start, expected


class PairQuery(Query):
    """Which pair."""

    pair: Pair


class SeriesQuery(PairQuery):
    """Which rows of a series: the newest before ``end``, or the first from ``start`` on."""

    start: Start = None
    end: End = None
    limit: Limit = 100
    offset: Offset = 0
    sort_order: SortOrder = "asc"

    @field_validator("end")
    @classmethod
    def _not_before_start(cls, end_ms: int | None, info: ValidationInfo) -> int | None:
        start_ms = info.data.get("start")
        if start_ms is not None and end_ms is not None and end_ms < start_ms:
            raise expected("an instant that is not before start")
        return end_ms


class CandlesQuery(SeriesQuery):
    """Which candles."""

    period: Period


class TradesQuery(SeriesQuery):
    """Which trades."""

    aggregated: Annotated[
        bool, Field(description="Serve aggregated trades (the fills of one taker order at one price).")
    ] = False
