"""What the newest health scores say: over all datasets, and of one pair."""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Final

from common.models.families import Family, Series
from common.models.metadata import HealthMetric
from common.settings import Settings
from functions.api_health.models import Health, SummaryData

HEALTHY_FROM: Final = 95
DEGRADED_FROM: Final = 80


def configured_datasets(settings: Settings, stored: Iterable[Family]) -> set[str]:
    """Return the ids of the datasets that there should be: candles of every timeframe, and what else is stored."""
    candles = {
        Series(Family.CANDLES, pair, timeframe).dataset_id
        for pair in settings.supported_pairs
        for timeframe in settings.timeframes
    }
    others = set(stored) - {Family.CANDLES}
    return candles | {Series(family, pair).dataset_id for family in others for pair in settings.supported_pairs}


def summary_of(datasets: Collection[str], metrics: Iterable[HealthMetric]) -> SummaryData:
    """Count datasets by class. One without a score was never audited or could not be judged: it is not healthy."""
    scores = [metric.quality_score for metric in metrics if metric.dataset_id in datasets]
    healthy = sum(score is not None and score >= HEALTHY_FROM for score in scores)
    degraded = sum(score is not None and DEGRADED_FROM <= score < HEALTHY_FROM for score in scores)
    return SummaryData(
        total_datasets=len(datasets),
        healthy_datasets=healthy,
        degraded_datasets=degraded,
        unhealthy_datasets=len(datasets) - healthy - degraded,
        overall_score=_mean(scores),
    )


def health_of(metrics: Sequence[HealthMetric]) -> Health:
    """Return the health of datasets taken together; of one dataset it is its own.

    Args:
        metrics: the newest score of each, at least one.
    """
    freshness = [metric.freshness_seconds for metric in metrics if metric.freshness_seconds is not None]
    return Health(
        completeness=_mean(metric.completeness for metric in metrics),
        freshness_sec=max(freshness, default=None),
        gaps=sum(metric.gaps_count for metric in metrics),
        duplicates=sum(metric.duplicates_count for metric in metrics),
        consistency_score=_mean(metric.consistency_score for metric in metrics),
        quality_score=_mean(metric.quality_score for metric in metrics),
    )


def _mean(scores: Iterable[Decimal | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return float(round(sum(known, Decimal(0)) / len(known), 2)) if known else None
