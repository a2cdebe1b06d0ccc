"""The answers of the health routes. Times are ISO-8601, UTC, milliseconds, ``Z``; scores are numbers from 0 to 100."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from common.host.answers import Answer, Pagination
from common.models.dead_letters import Reason
from common.timeframes import Timeframe


class State(StrEnum):
    """State of a component, or of the system."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"  # it works, but its last cycle is late
    UNHEALTHY = "unhealthy"
    NOT_CONFIGURED = "not_configured"
    UNKNOWN = "unknown"


class Service(Answer):
    """The service itself."""

    service: str
    version: str
    status: Literal["operational"]


class Liveness(Answer):
    """The process answers."""

    status: Literal["ok"]
    timestamp: str
    version: str


class Readiness(Answer):
    """Whether the system works, component by component, each really asked."""

    ready: bool = Field(description="No component is unhealthy: the stores and the bridge decide.")
    status: State
    components: dict[str, State]
    timestamp: str


class SummaryData(Answer):
    """Configured datasets by the class of their newest score: healthy from 95, degraded from 80, else unhealthy."""

    total_datasets: int = Field(description="Candles of each pair and timeframe, and what else is stored of a pair.")
    healthy_datasets: int
    degraded_datasets: int
    unhealthy_datasets: int = Field(description="Those never audited among them.")
    overall_score: float | None = Field(description="Mean of the newest scores; null before the first audit.")


class SummaryMetadata(Answer):
    """Where the scores come from."""

    last_updated: str | None
    source: str


class Summary(Answer):
    """Health over all datasets."""

    data: SummaryData
    metadata: SummaryMetadata
    parameters: dict[str, str]


class Health(Answer):
    """Health of a dataset, or of all candle datasets of a pair: means of scores, sums of counts, oldest freshness."""

    completeness: float | None
    freshness_sec: int | None
    gaps: int
    duplicates: int
    consistency_score: float | None
    quality_score: float | None


class HealthMetadata(Answer):
    """When the dataset was audited, and which store holds it."""

    last_audit: str
    data_source: str


class HealthParameters(Answer):
    """The query as it was understood."""

    pair: str
    period: Timeframe | None


class HealthAnswer(Answer):
    """Health of a pair."""

    pair: str
    period: Timeframe | None
    health: Health
    metadata: HealthMetadata
    parameters: HealthParameters


class DeadLetterValue(Answer):
    """One message or event that will not be tried again."""

    dead_letter_id: str
    timestamp: str
    kind: str
    reason: Reason
    field: str | None
    detail: str
    symbol: str | None
    origin: str = Field(description="The part that set it aside: `bridge`, `ingest`, `broker`.")
    excerpt: str = Field(description="Beginning of the payload.")
    event_id: str | None
    size_bytes: int


class DeadLettersMetadata(Answer):
    """Where the dead letters come from."""

    source: str
    records_returned: int


class DeadLettersParameters(Answer):
    """The query as it was understood."""

    kind: str | None
    reason: Reason | None
    limit: int
    offset: int


class DeadLettersAnswer(Answer):
    """Dead letters, newest first."""

    values: list[DeadLetterValue]
    pagination: Pagination
    metadata: DeadLettersMetadata
    parameters: DeadLettersParameters
