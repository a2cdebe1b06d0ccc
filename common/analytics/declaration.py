"""How a calculator is declared: its metric, what it reads, and every field of its documents, as data.

The calculator's function, the routes, the OpenAPI document, lineage and the page of fields read the declaration; the
computation itself stands in ``functions/<name>``. Light to import: no numpy, no store.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, NamedTuple, TypeAlias

from common.models.families import FAMILIES, Family, dataset_id
from common.timeframes import Timeframe

# Recursive averages forget where they began: after this many bars RSI and ADX (14) agree with an endless history to
# 4e-7 and 2e-6 of a point, EMA (20) to 1e-11. Every window holds at least as many, where the store has them.
CONVERGED_BARS: Final = 250
# The pair that others are measured against.
BENCHMARK: Final = "BTCUSDT"
# The symbol of documents about all pairs together.
MARKET: Final = "MARKET"


class Kind(Enum):
    """What a plain value is in JSON. Numbers are decimal strings, but for counts and lags."""

    DECIMAL = "decimal"
    TEXT = "text"
    INTEGER = "integer"
    FLAG = "boolean"


class Record(NamedTuple):
    """An object with fields of its own."""

    name: str
    says: str
    fields: tuple["Field", ...]


class ListOf(NamedTuple):
    """A list of values of one shape."""

    item: Kind | Record


class MapOf(NamedTuple):
    """An object with values of one shape; ``keys`` says what its keys are."""

    item: "Kind | Record | MapOf"
    keys: str


Shape: TypeAlias = Kind | Record | ListOf | MapOf


class Source(NamedTuple):
    """A kind of dataset that a metric reads; what is not said is that of the document itself."""

    family: Family = Family.CANDLES
    symbol: str | None = None
    timeframe: Timeframe | None = None

    def dataset_id(self, symbol: str, timeframe: str | None) -> str:
        """Return the id of the dataset for a document about ``symbol`` and ``timeframe``."""
        scope = (self.symbol or symbol, self.timeframe or timeframe)[: len(FAMILIES[self.family].scope)]
        return dataset_id(self.family, *filter(None, scope))


OWN_CANDLES: Final = Source()


class Field(NamedTuple):
    """One field of a document.

    Attributes:
        name: under which it is served.
        unit: of its numbers; empty where they have none of their own.
        says: what it tells.
        formula: how it is computed.
        shape: what it is in JSON.
        stored: name in the stored document, when that is another one.
        sources: what it is computed from, when that is not the source of its metric.
        values: the texts that it may be.
        always: whether it is never null.
    """

    name: str
    unit: str
    says: str
    formula: str = ""
    shape: Shape = Kind.DECIMAL
    stored: str = ""
    sources: tuple[Source, ...] = ()
    values: tuple[str, ...] = ()
    always: bool = False

    @property
    def key(self) -> str:
        """Its name in the stored document."""
        return self.stored or self.name


class Scope(StrEnum):
    """What one document of a metric is about."""

    SERIES = "series"  # one pair and timeframe
    SYMBOL = "symbol"  # one pair
    MARKET = "market"  # all pairs together, one timeframe


class Served(Enum):
    """How documents of a metric are served."""

    NEWEST = "the newest document, with its history when asked for"
    LIST = "a list of documents, the newest first"
    OTHERWISE = "by a route of another form"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric, computed by the function of its name unless ``calculator`` says which.

    Attributes:
        name: as it stands in collections, events and routes.
        says: what it is, in a few words.
        method: ``metadata.method`` of its documents.
        window: name of the window, ``metadata.window``.
        fields: what its documents hold besides the fields of every document.
        scope: what one document is about.
        source: what it is computed from.
        window_ms: length of the window; 0 when it is not a span of candles.
        window_bars: the window has at least this many bars, whatever the timeframe.
        minimum_rows: with fewer candles there is no document.
        once_a_candle: computed when a candle has closed, and not in every cycle: nothing else changes it.
        served: how.
        aliases: further names of the window that requests may give, before its own.
        calculator: name of the function, when it makes documents of several metrics.
    """

    name: str
    says: str
    method: str
    window: str
    fields: tuple[Field, ...]
    scope: Scope = Scope.SERIES
    source: Source = OWN_CANDLES
    window_ms: int = 0
    window_bars: int = CONVERGED_BARS
    minimum_rows: int = 1
    once_a_candle: bool = False
    served: Served = Served.NEWEST
    aliases: tuple[str, ...] = ()
    calculator: str = ""

    def bars(self, timeframe: Timeframe) -> int:
        """Return how many bars of ``timeframe`` the window holds."""
        return max(-(-self.window_ms // timeframe.duration_ms), self.window_bars)

    @property
    def windows(self) -> tuple[str, ...]:
        """The accepted names of the window, the default first."""
        return (*self.aliases, self.window)

    @property
    def methods(self) -> tuple[str, ...]:
        """The accepted methods: each field by itself, and the method that the documents name."""
        return tuple(dict.fromkeys((*(field.name for field in self.fields), self.method)))

    def fields_of(self, method: str | None) -> tuple[Field, ...]:
        """Return the fields to show: the one that ``method`` names, or else all."""
        return tuple(field for field in self.fields if field.name == method) or self.fields

    @property
    def transformation(self) -> str:
        """What makes its documents, as lineage names it."""
        return f"{self.calculator or self.name}_calculator"

    def input_datasets(self, symbols: Iterable[str], timeframe: str | None) -> tuple[str, ...]:
        """Return the ids of the datasets that a document about these pairs is computed from."""
        sources = dict.fromkeys((self.source, *(source for field in self.fields for source in field.sources)))
        ids = (source.dataset_id(symbol, timeframe) for symbol in symbols for source in sources)
        return tuple(dict.fromkeys(ids))


def collection_name(symbol: str, metric: str) -> str:
    """Return the name of the collection that documents form, which is also the id of their dataset."""
    return f"analytics_{metric}" if symbol == MARKET else f"analytics_{symbol}_{metric}"


@dataclass(frozen=True, slots=True)
class Subject:
    """What one document is computed for."""

    symbols: tuple[str, ...]
    timeframe: Timeframe | None


def subjects(metric: Metric, symbols: Sequence[str], timeframes: Sequence[Timeframe]) -> Iterator[Subject]:
    """Yield what a cycle computes of a metric, for the configured pairs and timeframes."""
    if metric.scope is Scope.MARKET:
        yield from (Subject(tuple(symbols), timeframe) for timeframe in timeframes)
    elif metric.scope is Scope.SYMBOL:
        yield from (Subject((symbol,), None) for symbol in symbols)
    else:
        yield from (Subject((symbol,), timeframe) for timeframe in timeframes for symbol in symbols)
