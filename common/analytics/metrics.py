"""The table of the metrics that can be asked for; which of them run is configuration (``ANALYTICS_METRICS``)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from common.analytics.calculators.correlation import CORRELATION, CORRELATION_MATRIX
from common.analytics.calculators.deviation import DEVIATION
from common.analytics.calculators.regime import REGIME
from common.analytics.calculators.regime_model import REGIME_MODEL
from common.analytics.calculators.seasonality import SEASONALITY
from common.analytics.calculators.spread import SPREAD
from common.analytics.calculators.trend import TREND
from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.calculators.volume import VOLUME
from common.analytics.declaration import Metric

METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            VOLATILITY,
            VOLUME,
            SPREAD,
            TREND,
            DEVIATION,
            SEASONALITY,
            CORRELATION,
            REGIME,
            REGIME_MODEL,
        )
    }
)
# Every kind of document, by the metric it is stored under: a calculator may make another beside its own.
DOCUMENTS: Final[Mapping[str, Metric]] = MappingProxyType({**METRICS, CORRELATION_MATRIX.name: CORRELATION_MATRIX})
