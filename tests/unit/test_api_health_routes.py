"""The health routes on real stores: the service, probes, components really asked, scores, dead letters."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from common import product
from common.clock import FixedClock
from common.models.dead_letters import DeadLetter, Reason, dead_letter
from common.models.families import Family
from common.models.metadata import HealthMetric
from common.models.rows import MarketRow
from common.settings import Settings
from common.storage.deferred import DeferredMetadata
from common.storage.open import open_analytics_store, open_market_store, open_metadata_store
from common.storage.ports import AnalyticsDocument, Part
from common.times import SECOND_MS, to_iso
from functions.api_health import models
from functions.api_health.components import component_states
from functions.api_health.models import State
from functions.api_health.resources import Resources
from functions.api_health.routes import build_api
from tests.support.api import fields_at_fault, get, json_of
from tests.support.store_rows import trade

NOW_MS = 1_760_961_600_000  # 2025-10-20T12:00:00Z


@dataclass
class FakeBridge:
    """A bridge that answers as told, or never."""

    ready: bool = True
    hangs: bool = False

    async def is_ready(self) -> bool:
        if self.hangs:
            await asyncio.Event().wait()
        return self.ready

    async def close(self) -> None:
        pass


@dataclass
class System:
    """What the health routes ask: files in a folder, opened for every request."""

    settings: Settings
    bridge: FakeBridge = field(default_factory=FakeBridge)

    def set(self, **changes: object) -> None:
        self.settings = self.settings.model_copy(update=changes)

    @asynccontextmanager
    async def resources(self) -> Any:
        resources = Resources(
            settings=self.settings,
            clock=FixedClock(NOW_MS),
            market=await open_market_store(self.settings),
            analytics=await open_analytics_store(self.settings),
            metadata=DeferredMetadata(partial(open_metadata_store, self.settings)),
            bridge=self.bridge,
        )
        try:
            yield resources
        finally:
            for part in (resources.market, resources.analytics, resources.metadata, resources.bridge):
                await part.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.resources() as resources:
            await build_api(resources)(scope, receive, send)

    def audit(self, dataset: str, score: str | None, age_s: int = 60, **changes: Any) -> None:
        values: dict[str, Any] = {
            "completeness": Decimal("99.20"),
            "freshness_seconds": 41,
            "gaps_count": 1,
            "duplicates_count": 0,
            "consistency_score": Decimal("98.00"),
            "quality_score": None if score is None else Decimal(score),
            **changes,
        }
        time_ms = NOW_MS - age_s * SECOND_MS
        metric = HealthMetric(f"{dataset}-{time_ms}", dataset, dataset.split("_")[1], time_ms, **values)

        async def save() -> None:
            store = await open_metadata_store(self.settings)
            await store.save_health([metric])
            await store.close()

        asyncio.run(save())

    def compute(self, age_s: int) -> None:
        at = NOW_MS - age_s * SECOND_MS

        async def save() -> None:
            store = await open_analytics_store(self.settings)
            await store.save([AnalyticsDocument("BTCUSDT", "volume", "1h", at, at)])
            await store.close()

        asyncio.run(save())

    def store(self, rows: Sequence[MarketRow] = (), letters: Sequence[DeadLetter] = ()) -> None:
        async def save() -> None:
            store = await open_market_store(self.settings)
            await store.write([Part(Family.TRADES, rows)], letters)
            await store.close()

        asyncio.run(save())

    def states(self, timeout_s: float = 2.0) -> dict[str, State]:
        async def ask() -> dict[str, State]:
            async with self.resources() as resources:
                return await component_states(resources, timeout_s=timeout_s)

        return asyncio.run(ask())

    def remove(self, file: str) -> None:
        """Put a folder where a store has its file."""
        path = self.settings.petrosa_data_dir / file
        path.unlink(missing_ok=True)
        path.mkdir(parents=True)

    @contextmanager
    def locked(self, file: str) -> Iterator[None]:
        """Hold the write lock of a store."""
        holder = sqlite3.connect(self.settings.petrosa_data_dir / file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.close()


@pytest.fixture(scope="module")
def empty_stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of empty stores: making them takes longer than most tests."""
    folder = tmp_path_factory.mktemp("stores")

    async def make() -> None:
        async with System(Settings(petrosa_data_dir=folder)).resources() as resources:
            await resources.metadata.open()

    asyncio.run(make())
    return folder


@pytest.fixture
def system(tmp_path: Path, empty_stores: Path) -> System:
    shutil.copytree(empty_stores, tmp_path, dirs_exist_ok=True)
    return System(Settings(petrosa_data_dir=tmp_path, store_busy_timeout_ms=50))


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("/", models.Service),
        ("/health/liveness", models.Liveness),
        ("/health/readiness", models.Readiness),
        ("/health/summary", models.Summary),
        ("/health?pair=BTCUSDT", models.HealthAnswer),
        ("/health?pair=BTCUSDT&period=1h", models.HealthAnswer),
        ("/health/dead-letters", models.DeadLettersAnswer),
    ],
)
def test_answers_are_what_the_openapi_document_says(system: System, url: str, model: type[BaseModel]) -> None:
    system.audit("candles_BTCUSDT_1h", "98.60")
    system.store(letters=[letter(0)])
    (answer,) = get(system, url)
    assert answer.status_code == 200
    model.model_validate_json(answer.content)


def test_the_service(system: System) -> None:
    assert json_of(system, "/") == {
        "service": "petrosa-data-manager",
        "version": product.VERSION,
        "status": "operational",
    }


def test_liveness_asks_nobody(system: System) -> None:
    system.remove("metadata.db")
    assert json_of(system, "/health/liveness") == {
        "status": "ok",
        "timestamp": "2025-10-20T12:00:00.000Z",
        "version": product.VERSION,
    }


def test_everything_works(system: System) -> None:
    system.audit("candles_BTCUSDT_1h", "98.60", age_s=100)
    system.compute(age_s=100)
    assert json_of(system, "/health/readiness") == {
        "ready": True,
        "status": "healthy",
        "components": {
            "nats": "healthy",
            "mysql": "not_configured",
            "mongodb": "not_configured",
            "market_store": "healthy",
            "metadata_store": "healthy",
            "auditor": "healthy",
            "analytics": "healthy",
        },
        "timestamp": "2025-10-20T12:00:00.000Z",
    }


def test_before_the_first_cycles_the_system_is_ready(system: System) -> None:
    body = json_of(system, "/health/readiness")
    assert (body["ready"], body["status"]) == (True, "healthy")
    assert (body["components"]["auditor"], body["components"]["analytics"]) == ("unknown", "unknown")


def _bridge_away(system: System) -> None:
    system.bridge.ready = False


@pytest.mark.parametrize(
    ("harm", "unhealthy"),
    [
        (_bridge_away, {"nats"}),
        (lambda system: system.remove("metadata.db"), {"metadata_store"}),
    ],
)
def test_a_store_or_the_bridge_makes_the_system_unready(
    system: System, harm: Callable[[System], None], unhealthy: set[str]
) -> None:
    harm(system)
    (answer,) = get(system, "/health/readiness")
    body = answer.json()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert (body["ready"], body["status"]) == (False, "unhealthy")
    assert {name for name, state in body["components"].items() if state == "unhealthy"} == unhealthy
    models.Readiness.model_validate_json(answer.content)


@pytest.mark.parametrize("file", ["market.db", "metadata.db"])
def test_a_store_that_takes_no_writes_makes_the_system_unready(system: System, file: str) -> None:
    system.audit("candles_BTCUSDT_1h", "98.60")
    with system.locked(file):
        (answer,) = get(system, "/health/readiness")
    assert answer.status_code == 503
    store = "market_store" if file == "market.db" else "metadata_store"
    assert answer.json()["components"][store] == "unhealthy"


@pytest.mark.parametrize("late", ["auditor", "analytics"])
def test_a_cycle_that_is_late_degrades_the_system_and_it_stays_ready(system: System, late: str) -> None:
    system.audit("candles_BTCUSDT_1h", "98.60", age_s=600 if late == "auditor" else 60)
    system.compute(age_s=1800 if late == "analytics" else 60)
    body = json_of(system, "/health/readiness")
    assert (body["ready"], body["status"]) == (True, "degraded")
    assert [name for name, state in body["components"].items() if state == "degraded"] == [late]


@pytest.mark.parametrize(("age_s", "state"), [(599, State.HEALTHY), (600, State.DEGRADED), (-5, State.HEALTHY)])
def test_a_cycle_is_late_after_two_intervals(system: System, age_s: int, state: State) -> None:
    system.set(audit_interval=300, analytics_interval=300)
    system.audit("candles_BTCUSDT_1h", "98.60", age_s=age_s)
    system.audit("candles_BTCUSDT_1d", "98.60", age_s=100_000)
    system.compute(age_s=age_s)
    states = system.states()
    assert (states["auditor"], states["analytics"]) == (state, state)


def test_what_is_switched_off_is_not_configured(system: System) -> None:
    system.set(enable_auditor=False, enable_analytics=False)
    system.audit("candles_BTCUSDT_1h", "98.60", age_s=9999)
    system.compute(age_s=9999)
    states = system.states()
    assert (states["auditor"], states["analytics"]) == (State.NOT_CONFIGURED, State.NOT_CONFIGURED)


def test_a_cycle_whose_age_cannot_be_read_is_unknown(system: System) -> None:
    system.remove("metadata.db")
    assert system.states()["auditor"] is State.UNKNOWN


def test_who_does_not_answer_in_time_is_unhealthy_and_delays_nobody(system: System) -> None:
    system.audit("candles_BTCUSDT_1h", "98.60")
    system.bridge.hangs = True
    states = system.states(timeout_s=0.5)
    assert states["nats"] is State.UNHEALTHY
    assert states["market_store"] is State.HEALTHY


def test_the_summary_counts_the_newest_score_of_each_configured_dataset(system: System) -> None:
    system.set(supported_pairs=("BTCUSDT", "ETHUSDT"), timeframes=("1h", "4h", "1d"))
    system.audit("candles_BTCUSDT_1h", "10.00", age_s=900)
    system.audit("candles_BTCUSDT_1h", "95.00", age_s=60)
    system.audit("candles_BTCUSDT_1d", "94.99")
    system.audit("candles_ETHUSDT_1h", "80.00")
    system.audit("candles_ETHUSDT_1d", None, age_s=30)
    system.audit("candles_ADAUSDT_1d", "100.00")  # no longer configured
    system.audit("candles_BTCUSDT_1m", "100.00")
    assert json_of(system, "/health/summary") == {
        "data": {
            "total_datasets": 6,
            "healthy_datasets": 1,
            "degraded_datasets": 2,
            "unhealthy_datasets": 3,  # one that could not be judged, two never audited
            "overall_score": 90.0,
        },
        "metadata": {"last_updated": to_iso(NOW_MS - 30 * SECOND_MS), "source": "sqlite"},
        "parameters": {},
    }
    system.store([trade(1)])
    system.audit("trades_BTCUSDT", "99.00")
    data = json_of(system, "/health/summary")["data"]
    assert (data["total_datasets"], data["healthy_datasets"], data["unhealthy_datasets"]) == (8, 2, 4)


def test_the_summary_before_the_first_audit(system: System) -> None:
    body = json_of(system, "/health/summary")
    assert body["data"]["total_datasets"] == body["data"]["unhealthy_datasets"] == 5 * 6
    assert body["data"]["overall_score"] is body["metadata"]["last_updated"] is None


def test_the_health_of_a_dataset(system: System) -> None:
    system.audit("candles_BTCUSDT_1h", "50.00", age_s=900)
    system.audit("candles_BTCUSDT_1h", "98.60", age_s=109)
    system.audit("candles_BTCUSDT_1d", "10.00")
    assert json_of(system, "/health?pair=btcusdt&period=1h") == {
        "pair": "BTCUSDT",
        "period": "1h",
        "health": {
            "completeness": 99.2,
            "freshness_sec": 41,
            "gaps": 1,
            "duplicates": 0,
            "consistency_score": 98.0,
            "quality_score": 98.6,
        },
        "metadata": {"last_audit": "2025-10-20T11:58:11.000Z", "data_source": "sqlite"},
        "parameters": {"pair": "BTCUSDT", "period": "1h"},
    }


def test_the_health_of_a_pair_takes_its_candle_datasets_together(system: System) -> None:
    system.audit("candles_BTCUSDT_1h", "98.60", gaps_count=2, duplicates_count=1, completeness=Decimal("98.00"))
    system.audit("candles_BTCUSDT_1d", "90.00", age_s=30, freshness_seconds=7200, consistency_score=None)
    system.audit("trades_BTCUSDT", "1.00", age_s=10)
    system.audit("candles_ETHUSDT_1h", "1.00", age_s=10)
    body = json_of(system, "/health?pair=BTCUSDT")
    assert body["period"] is body["parameters"]["period"] is None
    assert body["health"] == {
        "completeness": 98.6,
        "freshness_sec": 7200,
        "gaps": 3,
        "duplicates": 1,
        "consistency_score": 98.0,
        "quality_score": 94.3,
    }
    assert body["metadata"]["last_audit"] == to_iso(NOW_MS - 30 * SECOND_MS)


def test_what_an_audit_could_not_tell_is_null_and_zero_is_a_value(system: System) -> None:
    unknown: dict[str, Any] = dict.fromkeys(("completeness", "freshness_seconds", "consistency_score"))
    system.audit("candles_BTCUSDT_1h", "0.00", **unknown)
    assert json_of(system, "/health?pair=BTCUSDT&period=1h")["health"] == {
        "completeness": None,
        "freshness_sec": None,
        "gaps": 1,
        "duplicates": 0,
        "consistency_score": None,
        "quality_score": 0.0,
    }


def test_a_pair_that_was_never_audited_is_404(system: System) -> None:
    system.audit("candles_BTCUSDT_1h", "98.60")
    system.audit("trades_ETHUSDT", "98.60")
    answers = get(system, "/health?pair=XYZUSDT", "/health?pair=BTCUSDT&period=5m", "/health?pair=ETHUSDT")
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert "No health metrics available" in answers[0].json()["detail"]


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("/health", ["pair"]),
        ("/health?pair=a%20b", ["pair"]),
        ("/health?pair=BTCUSDT&period=9h", ["period"]),
        ("/health/dead-letters?limit=0", ["limit"]),
        ("/health/dead-letters?limit=1001&offset=-1", ["limit", "offset"]),
        ("/health/dead-letters?kind=" + "k" * 201, ["kind"]),
    ],
)
def test_a_wrong_query_names_its_fields(system: System, url: str, fields: list[str]) -> None:
    (answer,) = get(system, url)
    assert fields_at_fault(answer) == fields


def letter(number: int, kind: str = "trade", reason: Reason = Reason.INVALID_VALUE) -> DeadLetter:
    return dead_letter(
        b'{"p":"-%d"}' % number,
        time_ms=NOW_MS + number,
        kind=kind,
        reason=reason,
        detail="expected a positive number",
        origin="ingest",
        field="p",
    )


def test_a_dead_letter_tells_what_was_wrong(system: System) -> None:
    system.store(letters=[letter(7)])
    (value,) = json_of(system, "/health/dead-letters")["values"]
    assert len(value.pop("dead_letter_id")) == 32
    assert value == {
        "timestamp": "2025-10-20T12:00:00.007Z",
        "kind": "trade",
        "reason": "invalid_value",
        "field": "p",
        "detail": "expected a positive number",
        "symbol": None,
        "origin": "ingest",
        "excerpt": '{"p":"-7"}',
        "event_id": None,
        "size_bytes": 10,
    }


def test_dead_letters_come_newest_first_in_pages(system: System) -> None:
    system.store(letters=[letter(number) for number in range(5)])
    first, last, beyond = (json_of(system, f"/health/dead-letters?limit=3&offset={offset}") for offset in (0, 3, 9))
    excerpts = [value["excerpt"] for page in (first, last, beyond) for value in page["values"]]
    assert excerpts == [f'{{"p":"-{number}"}}' for number in (4, 3, 2, 1, 0)]
    assert first["pagination"] == {
        "total": 5,
        "limit": 3,
        "offset": 0,
        "page": 1,
        "pages": 2,
        "has_next": True,
        "has_previous": False,
    }
    assert (last["pagination"]["has_next"], last["pagination"]["has_previous"]) == (False, True)
    assert last["metadata"] == {"source": "sqlite", "records_returned": 2}
    assert last["parameters"] == {"kind": None, "reason": None, "limit": 3, "offset": 3}


def test_programs_that_know_the_original_find_dead_letters_as_data_too(system: System) -> None:
    system.set(petrosa_compat="petrosa-clients")
    system.store(letters=[letter(1)])
    body = json_of(system, "/health/dead-letters")
    assert body["data"] == body["values"]
    assert len(body["values"]) == 1


def test_dead_letters_are_filtered_by_kind_and_reason(system: System) -> None:
    letters = [
        letter(0),
        letter(1, kind="kline"),
        letter(2, reason=Reason.NOT_JSON),
        letter(3, "kline", Reason.NOT_JSON),
    ]
    system.store(letters=letters)
    counts = {
        query: json_of(system, f"/health/dead-letters?{query}")["pagination"]["total"]
        for query in ("", "kind=kline", "reason=not_json", "kind=kline&reason=not_json", "kind=nothing")
    }
    assert counts == {"": 4, "kind=kline": 2, "reason=not_json": 2, "kind=kline&reason=not_json": 1, "kind=nothing": 0}


def test_an_unknown_reason_is_refused_with_the_known_ones(system: System) -> None:
    (answer,) = get(system, "/health/dead-letters?reason=bad_luck")
    assert fields_at_fault(answer) == ["reason"]
    assert all(reason in answer.json()["detail"][0]["msg"] for reason in Reason)


@pytest.mark.parametrize("url", ["/health/summary", "/health?pair=BTCUSDT", "/health/dead-letters"])
def test_a_store_that_cannot_be_asked_is_503(system: System, url: str) -> None:
    system.remove("metadata.db")
    system.remove("market.db")
    (answer,) = get(system, url)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json() == {"detail": "Database not available"}


def test_the_openapi_document_lists_every_route_with_its_parameters(system: System) -> None:
    document = json_of(system, "/openapi.json")
    names = {
        path: [parameter["name"] for parameter in route["get"].get("parameters", [])]
        for path, route in document["paths"].items()
    }
    assert names == {
        "/": [],
        "/health/liveness": [],
        "/health/readiness": [],
        "/health/summary": [],
        "/health": ["pair", "period"],
        "/health/dead-letters": ["kind", "reason", "limit", "offset"],
    }
    assert "503" in document["paths"]["/health/readiness"]["get"]["responses"]
