"""Query parameters and answers under ``/analysis``, as models made of a listing's declaration.

Numbers of the metrics are decimal strings, null when they could not be computed; a zero is a value.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model

from common.analytics.metrics import Scope
from common.host.parameters import (
    Limit,
    Offset,
    Pagination,
    Pair,
    Period,
    Query,
    RangeQuery,
    SortOrder,
    SpanQuery,
    one_of,
)
from functions.api_analysis.listings import Listing

DEFAULT_LIMIT: Final = 10


class Selection(Query):
    """What to show of which metric."""

    pair: Pair
    method: str | None = None
    window: str = ""
    explain: bool = Field(default=False, description="Add what the newest of these documents was computed from.")


class ListingQuery(Selection, RangeQuery):
    """Which documents, by the instant that they are about. The newest come first."""

    period: Period
    limit: Limit = DEFAULT_LIMIT
    sort_order: SortOrder = "desc"


class SingleQuery(Selection, SpanQuery):
    """Which document: the newest of a span; with ``start``, ``end`` or ``limit``, those before it too."""

    limit: Limit | None = Field(default=None, description="Rows of history in the answer, at most.")
    offset: Offset = 0
    sort_order: SortOrder = "desc"

    @property
    def asks_for_history(self) -> bool:
        """Whether the answer is to hold more than the newest document."""
        return not (self.start is None and self.end is None and self.limit is None)

    @property
    def history_limit(self) -> int:
        """How much history, at most."""
        return DEFAULT_LIMIT if self.limit is None else self.limit


class SeriesQuery(SingleQuery):
    """The same of a metric that has documents for each timeframe."""

    period: Period


class Answer(BaseModel):
    """What the models of answers share: an answer holds these keys and no others."""

    model_config = ConfigDict(extra="forbid")


class Value(Answer):
    """What every document says besides its numbers."""

    timestamp: str = Field(description="When it was computed.")
    as_of: str = Field(description="The instant that it is about: nothing later went in.")
    data_until: str | None = Field(description="Close of the newest candle, or time of the newest book, that went in.")
    rows_used: int | None
    warmup_complete: bool | None = Field(description="Whether recursive averages had forgotten their start.")


class Metadata(Answer):
    """Where the values of an answer come from."""

    data_completeness: float | None = Field(description="Completeness of the input of the newest value, in percent.")
    last_updated: str | None = Field(description="When the newest document was computed.")
    collection: str
    records_returned: int


class SingleMetadata(Answer):
    """Where the newest document comes from."""

    timestamp: str = Field(description="When it was computed.")
    source: str = Field(description="The store that answered.")
    collection: str
    data_completeness: float | None = Field(description="Completeness of its input, in percent.")


class Lineage(Answer):
    """One dataset that another was made from, and by what."""

    dataset_id: str
    source_dataset_id: str
    transformation: str


class Explanation(Answer):
    """What a document was computed from, and how."""

    inputs: list[str] = Field(description="Ids of the datasets that were read.")
    window: str | None
    parameters: dict[str, Any]
    as_of: str | None
    data_until: str | None
    rows_used: int | None
    warmup_complete: bool | None
    lineage: list[Lineage]


class ListingAnswer(Answer):
    """Documents of one metric."""

    pair: str
    period: str
    metric: str
    method: str
    window: str
    values: list[Any]
    pagination: Pagination
    metadata: Metadata
    explain: Explanation | None = Field(default=None, description="Of the newest value, when asked for.")


class SingleAnswer(Answer):
    """The newest document of one metric."""

    pair: str
    period: str | None = Field(default=None, description="Absent where documents have no timeframe.")
    metric: str
    method: str
    window: str
    data: Any
    values: list[Any] | None = Field(default=None, description="History, when asked for by start, end or limit.")
    pagination: Pagination | None = Field(default=None, description="Of the history.")
    metadata: SingleMetadata
    explain: Explanation | None = Field(default=None, description="Of the newest document, when asked for.")


def listing_query(listing: Listing) -> type[ListingQuery]:
    """Return the parameters of a route that lists documents."""
    return create_model(f"{_name(listing)}Query", __base__=ListingQuery, **_selection(listing))


def single_query(single: Listing) -> type[SingleQuery]:
    """Return the parameters of a route that serves the newest document."""
    base = SeriesQuery if single.metric.scope is Scope.SERIES else SingleQuery
    return create_model(f"{_name(single)}Query", __base__=base, **_selection(single))


def listing_answer(listing: Listing) -> type[ListingAnswer]:
    """Return the answer of a route that lists documents."""
    value = _value(listing)
    return create_model(f"{_name(listing)}Answer", __base__=ListingAnswer, values=(list[value], ...))  # type: ignore[valid-type]


def single_answer(single: Listing) -> type[SingleAnswer]:
    """Return the answer of a route that serves the newest document."""
    value = _value(single)
    history: Any = (list[value] | None, SingleAnswer.model_fields["values"])  # type: ignore[valid-type]
    return create_model(f"{_name(single)}Answer", __base__=SingleAnswer, data=(value, ...), values=history)


def _selection(listing: Listing) -> dict[str, Any]:
    """The parameters that only accept what a listing declares."""
    method = Field(
        default=None,
        description="Serve this field alone; without it, all of them.",
        json_schema_extra={"enum": [*listing.methods]},
    )
    window = Field(
        default=listing.windows[0],
        description="Name of the window that was computed.",
        json_schema_extra={"enum": [*listing.windows]},
    )
    return {
        "method": (Annotated[str | None, one_of(listing.methods)], method),
        "window": (Annotated[str, one_of(listing.windows)], window),
    }


def _value(listing: Listing) -> type[Value]:
    fields: dict[str, Any] = {name: (listing.types.get(name, str | None), None) for name in listing.fields}
    return create_model(f"{_name(listing)}Value", __base__=Value, **fields)


def _name(listing: Listing) -> str:
    return listing.metric.name.title().replace("_", "")
