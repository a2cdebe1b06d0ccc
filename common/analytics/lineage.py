"""Which datasets a document is computed from, by their ids, and which dataset it belongs to."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from common.analytics import metrics
from common.analytics.metrics import BENCHMARK
from common.models.rows import Family, dataset_id
from common.timeframes import Timeframe


class Source(NamedTuple):
    """A kind of dataset that a metric reads; what is not said is that of the document itself."""

    family: Family
    symbol: str | None = None
    timeframe: Timeframe | None = None

    def dataset_id(self, symbol: str, timeframe: str | None) -> str:
        """Return the id of the dataset for a document about ``symbol`` and ``timeframe``."""
        timeframe = (self.timeframe or timeframe) if self.family is Family.CANDLES else None
        return dataset_id(self.family, self.symbol or symbol, timeframe)


_OWN_CANDLES: Final = Source(Family.CANDLES)
_SOURCES: Final[Mapping[str, tuple[Source, ...]]] = MappingProxyType(
    {
        metrics.VOLATILITY.name: (
            _OWN_CANDLES,
            Source(Family.CANDLES, timeframe=Timeframe.M1),
            Source(Family.CANDLES, timeframe=Timeframe.H1),
        ),
        metrics.SPREAD.name: (Source(Family.DEPTH), Source(Family.CANDLES, timeframe=Timeframe.H1)),
        metrics.TREND.name: (_OWN_CANDLES, Source(Family.CANDLES, symbol=BENCHMARK)),
    }
)


def input_datasets(metric: str, symbols: Iterable[str], timeframe: str | None) -> tuple[str, ...]:
    """Return the ids of the datasets that a document is computed from.

    Args:
        metric: name of its metric.
        symbols: the pairs it is about.
        timeframe: that of its candles, if it has one.
    """
    sources = _SOURCES.get(metric, (_OWN_CANDLES,))
    ids = (source.dataset_id(symbol, timeframe) for symbol in symbols for source in sources)
    return tuple(dict.fromkeys(ids))


def output_dataset(metric: str, symbol: str) -> str:
    """Return the id of the dataset that documents of a metric form, which is also the name of their collection."""
    return f"analytics_{symbol}_{metric}"
