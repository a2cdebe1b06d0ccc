"""Everything that a calculator computes is served under its name, and in the type that the OpenAPI document says."""

from collections.abc import Sequence
from typing import Any

import pytest

from common.analytics import metrics
from common.analytics.document import Result, document_of
from common.analytics.metrics import Scope
from common.timeframes import Timeframe
from functions.api_analysis.listings import TREND, VOLATILITY, VOLUME, Listing
from functions.api_analysis.models import listing_answer, single_answer
from functions.api_analysis.singles import DEVIATION, SEASONALITY, SPREAD
from functions.deviation.calculator import compute as deviation
from functions.seasonality.calculator import compute as seasonality
from functions.spread.calculator import compute as spread
from functions.spread.inputs import Book, SpreadInputs
from functions.trend.calculator import compute as trend
from functions.trend.inputs import TrendInputs
from functions.volatility.calculator import compute as volatility
from functions.volatility.inputs import VolatilityInputs
from functions.volume.calculator import compute as volume
from tests.support.calculators import series_of
from tests.support.candles import random_walk

CANDLES = random_walk(1000, Timeframe.H1)
MINUTES = random_walk(1441, Timeframe.M1)
BOOK = Book(0, (("100", "5"), ("99", "1")), (("101", "5000"),))

computed = pytest.mark.parametrize(
    ("listing", "results", "answer_model"),
    [
        (
            VOLATILITY,
            volatility(VolatilityInputs(series_of(metrics.VOLATILITY, CANDLES), MINUTES, CANDLES)),
            listing_answer,
        ),
        (VOLUME, volume(series_of(metrics.VOLUME, CANDLES)), listing_answer),
        (TREND, trend(TrendInputs(series_of(metrics.TREND, CANDLES), CANDLES)), listing_answer),
        (SPREAD, spread(SpreadInputs("BTCUSDT", (BOOK, BOOK), CANDLES)), single_answer),
        (DEVIATION, deviation(series_of(metrics.DEVIATION, CANDLES)), single_answer),
        (SEASONALITY, seasonality(series_of(metrics.SEASONALITY, CANDLES)), single_answer),
    ],
    ids=lambda value: value.metric.name if isinstance(value, Listing) else "",
)


@computed
def test_what_is_computed_is_served_and_nothing_else(
    listing: Listing, results: Sequence[Result], answer_model: Any
) -> None:
    (result,) = results
    assert set(listing.fields.values()) == set(result.fields)


@computed
def test_values_have_the_types_that_are_documented(
    listing: Listing, results: Sequence[Result], answer_model: Any
) -> None:
    timeframe = Timeframe.H1 if listing.metric.scope is Scope.SERIES else None
    body = document_of(results[0], listing.metric, timeframe, as_of_ms=0, computed_at_ms=0).body
    value = answer_model(listing).model_fields["values" if answer_model is listing_answer else "data"].annotation
    model = value.__args__[0] if answer_model is listing_answer else value
    shown = {key: body[stored] for key, stored in listing.fields.items() if stored in body}
    common = {key: body[key] for key in ("timestamp", "as_of", "data_until", "rows_used", "warmup_complete")}
    model.model_validate({**common, **shown}, strict=True)
