"""Query parameters and answers under ``/analysis``, as models made of a listing's declaration.

Numbers of the metrics are decimal strings, null when they could not be computed; a zero is a value.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model

from common.host.parameters import Limit, Pagination, Pair, Period, RangeQuery, SortOrder, one_of
from functions.api_analysis.listings import Listing

DEFAULT_LIMIT: Final = 10


class ListingQuery(RangeQuery):
    """Which documents, by the instant that they are about. The newest come first."""

    pair: Pair
    period: Period
    method: str | None = None
    window: str = ""
    limit: Limit = DEFAULT_LIMIT
    sort_order: SortOrder = "desc"


class Answer(BaseModel):
    """What the models of answers share: an answer holds these keys and no others."""

    model_config = ConfigDict(extra="forbid")


class Value(Answer):
    """What every document says besides its numbers."""

    timestamp: str = Field(description="When it was computed.")
    as_of: str = Field(description="The instant that it is about: nothing later went in.")
    data_until: str | None = Field(description="Close of the newest candle that went in.")
    rows_used: int | None
    warmup_complete: bool | None = Field(description="Whether recursive averages had forgotten their start.")


class Metadata(Answer):
    """Where the values of an answer come from."""

    data_completeness: float | None = Field(description="Completeness of the input of the newest value, in percent.")
    last_updated: str | None = Field(description="When the newest document was computed.")
    collection: str
    records_returned: int


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


def query_model(listing: Listing) -> type[ListingQuery]:
    """Return the parameters of a listing's route."""
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
    return create_model(
        f"{_name(listing)}Query",
        __base__=ListingQuery,
        method=(Annotated[str | None, one_of(listing.methods)], method),
        window=(Annotated[str, one_of(listing.windows)], window),
    )


def answer_model(listing: Listing) -> type[ListingAnswer]:
    """Return the answer of a listing's route."""
    fields: dict[str, Any] = dict.fromkeys(listing.fields, (str | None, None))
    value = create_model(f"{_name(listing)}Value", __base__=Value, **fields)
    return create_model(f"{_name(listing)}Answer", __base__=ListingAnswer, values=(list[value], ...))  # type: ignore[valid-type]


def _name(listing: Listing) -> str:
    return listing.metric.name.title().replace("_", "")
