"""The routes ``/`` and ``/health…``."""

from common.host.api import Api, Route
from common.host.parameters import Query
from functions.api_health.models import DeadLettersAnswer, HealthAnswer, Liveness, Readiness, Service, Summary
from functions.api_health.queries import DeadLettersQuery, HealthQuery
from functions.api_health.reader import HealthReader
from functions.api_health.resources import Resources


def build_api(resources: Resources) -> Api:
    """Return the application of the group."""
    reader = HealthReader(resources)
    return Api(
        "The state of the system.",
        [
            Route("/", reader.service, query=Query, model=Service, summary="The service"),
            Route(
                "/health/liveness",
                reader.liveness,
                query=Query,
                model=Liveness,
                summary="Whether the process answers",
            ),
            Route(
                "/health/readiness",
                reader.readiness,
                query=Query,
                model=Readiness,
                summary="Whether the system works",
                responses={503: ("A store or the bridge is unhealthy.", Readiness)},
            ),
            Route(
                "/health/summary",
                reader.summary,
                query=Query,
                model=Summary,
                summary="Health over all configured datasets",
            ),
            Route(
                "/health",
                reader.health,
                query=HealthQuery,
                model=HealthAnswer,
                summary="Health of a pair",
                responses={404: "The pair was never audited."},
            ),
            Route(
                "/health/dead-letters",
                reader.dead_letters,
                query=DeadLettersQuery,
                model=DeadLettersAnswer,
                summary="What could not be processed",
            ),
        ],
    )
