"""Query parameters and answers under ``/analysis``, as models made of the declarations of the metrics.

Numbers of the metrics are decimal strings, null when they could not be computed; a zero is a value.
"""

from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from common.analytics.declaration import Field as Declared
from common.analytics.declaration import Kind, ListOf, MapOf, Metric, Record, Scope, Shape
from common.analytics.document import BASIS
from common.host.answers import Answer, Pagination
from common.host.parameters import (
    Limit,
    Offset,
    Pair,
    Period,
    Query,
    RangeQuery,
    SortOrder,
    SpanQuery,
    one_of,
)

DEFAULT_LIMIT: Final = 10

# What stands in several answers.
MetricName = Annotated[str, Field(description="Name of the metric.")]
MethodName = Annotated[str, Field(description="How it was computed, or the one field that was asked for.")]
WindowName = Annotated[str, Field(description="Name of the window that was computed.")]
CollectionName = Annotated[str, Field(description="The dataset that the documents belong to.")]


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


class HistoryQuery(SpanQuery):
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


class SingleQuery(Selection, HistoryQuery):
    """Which document of which metric, and what of it."""


class SeriesQuery(SingleQuery):
    """The same of a metric that has documents for each timeframe."""

    period: Period


class Metadata(Answer):
    """Where the values of an answer come from."""

    data_completeness: float | None = Field(description="Completeness of the input of the newest value, in percent.")
    last_updated: str | None = Field(description="When the newest document was computed.")
    collection: CollectionName
    records_returned: int = Field(description="Rows in this answer.")


class SingleMetadata(Answer):
    """Where the newest document comes from."""

    timestamp: str = Field(description="When it was computed.")
    source: str = Field(description="The store that answered.")
    collection: CollectionName
    data_completeness: float | None = Field(description="Completeness of its input, in percent.")


class Lineage(Answer):
    """One dataset that another was made from, and by what."""

    dataset_id: str = Field(description="The dataset that was made.")
    source_dataset_id: str = Field(description="The dataset that was read.")
    transformation: str = Field(description="What made it.")


class Explanation(Answer):
    """What a document was computed from, and how."""

    inputs: list[str] = Field(description="Ids of the datasets that were read.")
    window: str | None = Field(description="Name of the window.")
    parameters: dict[str, Any] = Field(description="What the calculator was set to, by name.")
    as_of: str | None = Field(description="The instant that it is about: nothing later went in.")
    data_until: str | None = Field(description="Close of the newest candle that went in, or time of the newest row.")
    rows_used: int | None = Field(description="Rows that were read.")
    warmup_complete: bool | None = Field(description="Whether there were enough rows for what is recursive.")
    lineage: list[Lineage] = Field(description="From which datasets it was made.")


class ListingAnswer(Answer):
    """Documents of one metric."""

    pair: str
    period: str
    metric: MetricName
    method: MethodName
    window: WindowName
    values: list[Any]
    pagination: Pagination
    metadata: Metadata
    explain: Explanation | None = Field(default=None, description="Of the newest value, when asked for.")


class SingleAnswer(Answer):
    """The newest document of one metric."""

    pair: str
    period: str | None = Field(default=None, description="Absent where documents have no timeframe.")
    metric: MetricName
    method: MethodName
    window: WindowName
    data: Any
    values: list[Any] | None = Field(default=None, description="History, when asked for by start, end or limit.")
    pagination: Pagination | None = Field(default=None, description="Of the history.")
    metadata: SingleMetadata
    explain: Explanation | None = Field(default=None, description="Of the newest document, when asked for.")


def listing_query(metric: Metric) -> type[ListingQuery]:
    """Return the parameters of a route that lists documents."""
    return create_model(f"{_name(metric)}Query", __base__=ListingQuery, **_selection(metric))


def single_query(metric: Metric) -> type[SingleQuery]:
    """Return the parameters of a route that serves the newest document."""
    base = SeriesQuery if metric.scope is Scope.SERIES else SingleQuery
    return create_model(f"{_name(metric)}Query", __base__=base, **_selection(metric))


def listing_answer(metric: Metric) -> type[ListingAnswer]:
    """Return the answer of a route that lists documents."""
    value = value_model(metric)
    values: Any = (list[value], Field(description="The documents."))  # type: ignore[valid-type]
    return create_model(f"{_name(metric)}Answer", __base__=ListingAnswer, values=values)


def single_answer(metric: Metric) -> type[SingleAnswer]:
    """Return the answer of a route that serves the newest document."""
    value = value_model(metric)
    history: Any = (list[value] | None, SingleAnswer.model_fields["values"])  # type: ignore[valid-type]
    return create_model(f"{_name(metric)}Answer", __base__=SingleAnswer, data=(value, ...), values=history)


def value_model(metric: Metric) -> type[Answer]:
    """Return one value of a metric: what every document says, and its own fields, any of which may be left out."""
    own = {field.name: (_type(field), _described(field, default=None)) for field in metric.fields}
    return _model(f"{_name(metric)}Value", metric.says, {**fields_of(BASIS), **own})


@cache
def record_model(record: Record) -> type[Answer]:
    """Return the model of an object that stands in a field."""
    return _model(record.name, record.says, fields_of(record.fields))


def fields_of(declared: tuple[Declared, ...]) -> dict[str, Any]:
    """Return declared fields as those of a model, all of which are there."""
    return {field.name: (_type(field), _described(field)) for field in declared}


def _model(name: str, says: str, fields: dict[str, Any]) -> type[Answer]:
    return create_model(name, __base__=Answer, __doc__=says, **fields)


def _described(field: Declared, default: Any = ...) -> Any:
    """What a field says, with its unit, in the OpenAPI document."""
    keys = f" By {field.shape.keys}." if isinstance(field.shape, MapOf) else ""
    unit = f" Unit: {field.unit}." if field.unit else ""
    extra: dict[str, Any] = {key: text for key, text in (("x-unit", field.unit), ("x-formula", field.formula)) if text}
    return Field(default=default, description=f"{field.says}{keys}{unit}", json_schema_extra=extra or None)


def _type(field: Declared) -> Any:
    plain: Any = Literal[field.values] if field.values else _shape(field.shape)
    return plain if field.always else plain | None


_PLAIN: Final = {Kind.DECIMAL: str, Kind.TEXT: str, Kind.INTEGER: int, Kind.FLAG: bool}


def _shape(shape: Shape) -> Any:
    if isinstance(shape, Kind):
        return _PLAIN[shape]
    if isinstance(shape, Record):
        return record_model(shape)
    if isinstance(shape, ListOf):
        return list[_shape(shape.item)]  # type: ignore[misc] # made at run time
    item = _shape(shape.item) | None if shape.item is Kind.DECIMAL else _shape(shape.item)
    return dict[str, item]  # type: ignore[valid-type] # made at run time


def _selection(metric: Metric) -> dict[str, Any]:
    """The parameters that only accept what a metric declares."""
    method = Field(
        default=None,
        description="Serve this field alone; without it, all of them.",
        json_schema_extra={"enum": [*metric.methods]},
    )
    window = Field(
        default=metric.windows[0],
        description="Name of the window that was computed.",
        json_schema_extra={"enum": [*metric.windows]},
    )
    return {
        "method": (Annotated[str | None, one_of(metric.methods)], method),
        "window": (Annotated[str, one_of(metric.windows)], window),
    }


def _name(metric: Metric) -> str:
    return metric.name.title().replace("_", "")
