"""The query parameters of the routes under ``/health``."""

from typing import Annotated

from pydantic import Field

from common.host.parameters import Limit, Offset, Pair, Query, read_by
from common.models.dead_letters import Reason
from common.timeframes import Timeframe


class HealthQuery(Query):
    """Whose health."""

    pair: Pair
    period: Annotated[
        Timeframe | None, read_by(Timeframe.parse), Field(description="Candle interval; without it, all of the pair.")
    ] = None


class DeadLettersQuery(Query):
    """Which dead letters, newest first."""

    kind: Annotated[
        str | None, Field(max_length=200, description="Kind of market message, or type of a whole event.")
    ] = None
    reason: Annotated[Reason | None, Field(description="Why it could not be processed.")] = None
    limit: Limit = 100
    offset: Offset = 0
