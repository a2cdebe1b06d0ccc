"""The routes ``/`` and ``/health…`` (spec/data-api.md §1)."""

import logging
from typing import Annotated, Any, Final

import fastapi
from fastapi import FastAPI

from common import product
from common.errors import NotFound
from common.host.api import JsonResponse, new_api
from common.host.parameters import pagination
from common.models.dead_letters import DeadLetter
from common.models.families import Family, Series
from common.times import to_iso
from functions.api_health.components import component_states, is_ready
from functions.api_health.models import (
    DeadLettersAnswer,
    DeadLetterValue,
    HealthAnswer,
    Liveness,
    Readiness,
    Service,
    Summary,
)
from functions.api_health.queries import DeadLettersQuery, HealthQuery
from functions.api_health.resources import Resources
from functions.api_health.scores import health_of, summary_of

log = logging.getLogger(__name__)

_RETRY_AFTER_S: Final = 5
_CANDLES: Final = f"{Family.CANDLES}_"


def build_api(resources: Resources) -> FastAPI:
    """Return the application of the group."""
    api = new_api(product.TITLE, "The state of the system.")
    _add_probes(api, resources)
    _add_scores(api, resources)
    _add_dead_letters(api, resources)
    return api


def _add_probes(api: FastAPI, resources: Resources) -> None:
    @api.get("/", response_model=Service, summary="The service")
    async def service() -> JsonResponse:
        return JsonResponse({"service": product.SERVICE, "version": product.VERSION, "status": "operational"})

    @api.get("/health/liveness", response_model=Liveness, summary="Whether the process answers")
    async def liveness() -> JsonResponse:
        now = to_iso(resources.clock.now_ms())
        return JsonResponse({"status": "ok", "timestamp": now, "version": product.VERSION})

    @api.get(
        "/health/readiness",
        response_model=Readiness,
        summary="Whether the system works",
        responses={503: {"model": Readiness, "description": "A component is unhealthy."}},
    )
    async def readiness() -> JsonResponse:
        states = await component_states(resources)
        body = {"ready": is_ready(states), "components": states, "timestamp": to_iso(resources.clock.now_ms())}
        if body["ready"]:
            return JsonResponse(body)
        log.warning("not ready", extra={"components": states})
        return JsonResponse(body, status_code=503, headers={"retry-after": str(_RETRY_AFTER_S)})


def _add_scores(api: FastAPI, resources: Resources) -> None:
    @api.get("/health/summary", response_model=Summary, summary="Health over all datasets")
    async def summary() -> JsonResponse:
        store = await resources.metadata.open()
        metrics = await store.latest_health()
        newest_ms = max((metric.time_ms for metric in metrics), default=None)
        return JsonResponse(
            {
                "data": summary_of(metrics).model_dump(),
                "metadata": {
                    "last_updated": None if newest_ms is None else to_iso(newest_ms),
                    "source": store.name,
                },
                "parameters": {},
            }
        )

    @api.get(
        "/health",
        response_model=HealthAnswer,
        summary="Health of a pair",
        responses={404: {"description": "The pair was never audited."}},
    )
    async def health(query: Annotated[HealthQuery, fastapi.Query()]) -> JsonResponse:
        metrics = await (await resources.metadata.open()).latest_health(query.pair)
        if query.period is None:
            metrics = [metric for metric in metrics if metric.dataset_id.startswith(_CANDLES)]
        else:
            wanted = Series(Family.CANDLES, query.pair, query.period).dataset_id
            metrics = [metric for metric in metrics if metric.dataset_id == wanted]
        if not metrics:
            raise NotFound(f"No health metrics available for {query.pair}, which was never audited")
        subject = {"pair": query.pair, "period": query.period}
        return JsonResponse(
            {
                **subject,
                "health": health_of(metrics).model_dump(),
                "metadata": {
                    "last_audit": to_iso(max(metric.time_ms for metric in metrics)),
                    "data_source": resources.market.name,
                },
                "parameters": subject,
            }
        )


def _add_dead_letters(api: FastAPI, resources: Resources) -> None:
    @api.get("/health/dead-letters", response_model=DeadLettersAnswer, summary="What could not be processed")
    async def dead_letters(query: Annotated[DeadLettersQuery, fastapi.Query()]) -> JsonResponse:
        letters, total = await resources.market.dead_letters(
            kind=query.kind, reason=query.reason, limit=query.limit, offset=query.offset
        )
        return JsonResponse(
            {
                "values": [_dead_letter(letter) for letter in letters],
                "pagination": pagination(total, limit=query.limit, offset=query.offset),
                "metadata": {"source": resources.market.name, "records_returned": len(letters)},
                "parameters": query.model_dump(),
            }
        )


def _dead_letter(letter: DeadLetter) -> dict[str, Any]:
    value = {"timestamp": to_iso(letter.time_ms), **letter._asdict()}
    return {name: value[name] for name in DeadLetterValue.model_fields}
