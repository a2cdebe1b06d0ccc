"""Answers what the health routes are asked."""

import logging
from typing import Any, Final

from common import product
from common.errors import NotFound
from common.host.answers import Compat, pagination
from common.host.api import JsonResponse
from common.host.parameters import Query
from common.models.dead_letters import DeadLetter
from common.models.families import Family, Series
from common.times import to_iso
from functions.api_health.components import component_states, status_of
from functions.api_health.models import (
    DeadLetterValue,
    HealthAnswer,
    HealthMetadata,
    HealthParameters,
    Liveness,
    Readiness,
    Service,
    State,
    Summary,
    SummaryMetadata,
)
from functions.api_health.queries import DeadLettersQuery, HealthQuery
from functions.api_health.resources import Resources
from functions.api_health.scores import configured_datasets, health_of, summary_of

log = logging.getLogger(__name__)

_RETRY_AFTER_S: Final = 5
_CANDLES: Final = f"{Family.CANDLES}_"


class HealthReader:
    """Every method but ``service``, ``liveness`` and ``readiness`` raises ``StoreUnavailable`` with its store."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._compat = Compat(resources.settings.petrosa_compat)

    async def service(self, _: Query) -> Service:
        """Return the service's name."""
        return Service(service=product.SERVICE, version=product.VERSION, status="operational")

    async def liveness(self, _: Query) -> Liveness:
        """Tell that the process answers; nobody is asked."""
        return Liveness(status="ok", timestamp=self._now(), version=product.VERSION)

    async def readiness(self, _: Query) -> Readiness | JsonResponse:
        """Tell whether the system works."""
        states = await component_states(self._resources)
        status = status_of(states)
        ready = status is not State.UNHEALTHY
        body = Readiness(ready=ready, status=status, components=states, timestamp=self._now())
        if ready:
            return body
        log.warning("not ready", extra={"components": states})
        return JsonResponse(body, status_code=503, headers={"retry-after": str(_RETRY_AFTER_S)})

    async def summary(self, _: Query) -> Summary:
        """Return the configured datasets by the class of their newest score."""
        store = await self._resources.metadata.open()
        totals = await self._resources.market.totals()
        stored = [family for family, rows in totals.items() if rows]
        metrics = await store.latest_health()
        newest_ms = max((metric.time_ms for metric in metrics), default=None)
        return Summary(
            data=summary_of(configured_datasets(self._resources.settings, stored), metrics),
            metadata=SummaryMetadata(last_updated=None if newest_ms is None else to_iso(newest_ms), source=store.name),
            parameters={},
        )

    async def health(self, query: HealthQuery) -> HealthAnswer:
        """Return the newest scores of a pair's candles, of one interval or all.

        Raises:
            NotFound: they were never audited.
        """
        metrics = await (await self._resources.metadata.open()).latest_health(query.pair)
        wanted = None if query.period is None else Series(Family.CANDLES, query.pair, query.period).dataset_id
        metrics = [
            metric
            for metric in metrics
            if metric.dataset_id == wanted or (wanted is None and metric.dataset_id.startswith(_CANDLES))
        ]
        if not metrics:
            raise NotFound(f"No health metrics available for {query.pair}, which was never audited")
        last_audit = to_iso(max(metric.time_ms for metric in metrics))
        return HealthAnswer(
            pair=query.pair,
            period=query.period,
            health=health_of(metrics),
            metadata=HealthMetadata(last_audit=last_audit, data_source=self._resources.market.name),
            parameters=HealthParameters(pair=query.pair, period=query.period),
        )

    async def dead_letters(self, query: DeadLettersQuery) -> dict[str, Any]:
        """Return dead letters, newest first."""
        letters, total = await self._resources.market.dead_letters(
            kind=query.kind, reason=query.reason, limit=query.limit, offset=query.offset
        )
        return {
            **self._compat.listed([_shown(letter) for letter in letters]),
            "pagination": pagination(total, limit=query.limit, offset=query.offset),
            "metadata": {"source": self._resources.market.name, "records_returned": len(letters)},
            "parameters": query.model_dump(),
        }

    def _now(self) -> str:
        return to_iso(self._resources.clock.now_ms())


def _shown(letter: DeadLetter) -> dict[str, object]:
    value = letter._asdict() | {"timestamp": to_iso(letter.time_ms)}
    return {name: value[name] for name in DeadLetterValue.model_fields}
