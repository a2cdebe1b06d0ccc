"""The metrics that are served as lists of documents, one declaration each (spec/data-api.md §3, spec/analytics.md §9).

To serve another one, declare it here: its route, parameters, answers and OpenAPI entry follow from the declaration.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from common.analytics import metrics
from common.analytics.metrics import Metric


@dataclass(frozen=True, slots=True)
class Listing:
    """A metric whose documents are served.

    Attributes:
        metric: which.
        summary: what it is, for the OpenAPI document.
        fields: the keys of a value, each with the field of the stored document that it shows.
        windows: the accepted names of the window, the default first.
        types: types of the fields that are more than a decimal string, for the OpenAPI document.
    """

    metric: Metric
    summary: str
    fields: Mapping[str, str]
    windows: tuple[str, ...]
    types: Mapping[str, Any] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The accepted methods: each field by itself, and the method that the documents name."""
        return tuple(dict.fromkeys((*self.fields, self.metric.method)))

    def fields_of(self, method: str | None) -> Mapping[str, str]:
        """Return the fields to show: the one that ``method`` names, or else all."""
        return self.fields if method is None or method not in self.fields else {method: self.fields[method]}


def same(*names: str) -> dict[str, str]:
    """Return fields that are served under the name they are stored under."""
    return {name: name for name in names}


VOLATILITY: Final = Listing(
    metrics.VOLATILITY,
    "Volatility, per bar unless the name says annualised",
    fields={
        "rolling_stddev": "rolling_stddev",
        "annualized": "annualized_volatility",
        **same("parkinson", "garman_klass"),
        "vov": "volatility_of_volatility",
        **same(
            "parkinson_annualized",
            "garman_klass_annualized",
            "rogers_satchell",
            "yang_zhang",
            "ewma_volatility",
            "atr",
            "atr_percent",
            "realized_variance",
            "bipower_variation",
            "jump_share",
            "volatility_forecast",
        ),
    },
    windows=(metrics.VOLATILITY.window,),
)

VOLUME: Final = Listing(
    metrics.VOLUME,
    "Volume, its averages and who traded it",
    fields=same(
        "total_volume",
        "volume_sma",
        "volume_ema",
        "volume_delta",
        "volume_spike_ratio",
        "taker_buy_ratio",
        "vwap",
        "obv",
        "amihud_illiquidity",
    ),
    windows=(metrics.VOLUME.window,),
)

TREND: Final = Listing(
    metrics.TREND,
    "Trend: averages, crossovers, momentum, direction and beta",
    fields=same(
        "sma",
        "ema",
        "wma",
        "rate_of_change",
        "directional_strength",
        "crossover_signal",
        "crossover_event",
        "sma_50",
        "rsi",
        "adx",
        "plus_di",
        "minus_di",
        "rolling_beta",
        "macd",
        "macd_signal",
        "macd_histogram",
    ),
    windows=("20", metrics.TREND.window),
)

LISTINGS: Final = (VOLATILITY, VOLUME, TREND)
