"""The routes under ``/analysis``, made of the declarations of the metrics."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from common.analytics.calculators.correlation import CORRELATION
from common.analytics.calculators.regime import REGIME
from common.analytics.declaration import Metric, Served
from common.analytics.metrics import METRICS
from common.host.api import Api, JsonResponse, Route
from common.host.parameters import Query
from functions.api_analysis.correlation import CorrelationAnswer, CorrelationQuery, correlation
from functions.api_analysis.freshness import HEADER, SAYS
from functions.api_analysis.models import listing_answer, listing_query, single_answer, single_query
from functions.api_analysis.overview import OverviewAnswer, OverviewQuery, overview
from functions.api_analysis.reader import AnalysisReader, Reading
from functions.api_analysis.regime import SHOWN, RegimeQuery, regime

QueryT = TypeVar("QueryT", bound=Query)


def build_api(reader: AnalysisReader) -> Api:
    """Return the application of the group."""
    return Api(
        "Computed analytics. Nothing is computed in a request.",
        [
            *(_of_metric(reader, metric) for metric in METRICS.values() if metric.served is not Served.OTHERWISE),
            _route(
                reader,
                "regime",
                lambda query: regime(reader, query),
                query=RegimeQuery,
                model=lambda: single_answer(SHOWN),
                summary=REGIME.says,
                missing="There is no document of this pair in the span that was asked for.",
            ),
            _route(
                reader,
                "correlation",
                lambda query: correlation(reader, query),
                query=CorrelationQuery,
                model=CorrelationAnswer,
                summary=CORRELATION.says,
                missing="There is no matrix in the span that was asked for, or none of its pairs.",
            ),
            _route(
                reader,
                "market-overview",
                lambda query: overview(reader, query),
                query=OverviewQuery,
                model=OverviewAnswer,
                summary="Several pairs at a glance",
            ),
        ],
    )


def _of_metric(reader: AnalysisReader, metric: Metric) -> Route[Any]:
    if metric.served is Served.LIST:
        return _route(
            reader,
            metric.name,
            lambda query: reader.listing(metric, query),
            query=listing_query(metric),
            model=lambda: listing_answer(metric),
            summary=metric.says,
        )
    return _route(
        reader,
        metric.name,
        lambda query: reader.single(metric, query),
        query=single_query(metric),
        model=lambda: single_answer(metric),
        summary=metric.says,
        missing="There is no document of this pair in the span that was asked for.",
    )


def _route(
    reader: AnalysisReader,
    name: str,
    read: Callable[[QueryT], Awaitable[Reading]],
    *,
    query: type[QueryT],
    model: Any,
    summary: str,
    missing: str | None = None,
) -> Route[QueryT]:
    """Return a route whose answers say how old they are."""

    async def answer(asked: QueryT) -> JsonResponse:
        reading = await read(asked)
        return JsonResponse(reading.body, headers={HEADER: reader.status_of(reading)})

    return Route(
        f"/analysis/{name}",
        answer,
        query=query,
        model=model,
        summary=summary,
        responses={404: missing} if missing else {},
        headers={HEADER: SAYS},
    )
