"""What a run is started with: the settings of the runner, and the environment that it hands to the parts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

import infra
from common.clock import SystemClock, clock_from
from common.errors import ConfigurationError
from common.settings import Settings, load_settings, read_settings
from common.times import to_iso
from infra.local.databases.stores import EMBEDDED, SERVERS, StoreOptions
from infra.local.runner.run_record import DEFAULT_FOLDERS
from infra.local.runner.state_folder import StateFolder, StateMark

# Feed → origin of the data that it brings.
FEEDS: Final = {"simulate": "simulated", "none": "external"}
_STORES: Final = (EMBEDDED, SERVERS)
# On one machine a store comes back in seconds, not in minutes.
_DEFAULTS: Final = {
    "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "2",
    "OPENBLAS_NUM_THREADS": "1",  # the arrays are small: more threads only wait for each other
}
# What a SinkBinding gives, and to its subjects alone.
_BOUND: Final = frozenset({"K_SINK", "K_CE_OVERRIDES", "K_CA_CERTS"})


class RunSettings(BaseSettings):
    """The variables that ``make run`` reads. One that is set to nothing counts as not set."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    petrosa_http_port: int = Field(default=8080, ge=1, le=65535)
    petrosa_nats_port: int = Field(default=4222, ge=1, le=65535)
    petrosa_mongodb_port: int | None = Field(default=None, ge=1, le=65535)
    petrosa_mysql_port: int | None = Field(default=None, ge=1, le=65535)
    nats_url: str | None = None
    petrosa_data_dir: Path | None = None
    petrosa_market: Literal["um", "spot"] = "um"
    petrosa_clock: str | None = None


@dataclass(frozen=True)
class RunOptions:
    """One run. ``external_nats`` is the server to use instead of an own one; ``clock`` is anchored (common.clock)."""

    feed: str
    isolate: bool
    project_dir: Path
    data_dir: Path
    http_port: int
    nats_port: int
    external_nats: str | None
    market: str
    clock: str | None
    stores: StoreOptions

    @property
    def mark(self) -> StateMark:
        """What the state folder remembers of this run."""
        return StateMark(market=self.market, origin=FEEDS[self.feed], stores=self.stores.kind)

    @property
    def nats_url(self) -> str:
        """The server that producers and the bridge use."""
        return self.external_nats or f"nats://127.0.0.1:{self.nats_port}"

    @property
    def url(self) -> str:
        """The single origin."""
        return f"http://127.0.0.1:{self.http_port}"


def run_settings() -> RunSettings:
    """Read the variables.

    Raises:
        ConfigurationError: naming each variable that is wrong.
    """
    return read_settings(RunSettings)


def run_options(feed: str, *, isolate: bool, stores: str = EMBEDDED, project_dir: Path | None = None) -> RunOptions:
    """Return what a run is started with.

    Args:
        feed: ``simulate`` or ``none``.
        isolate: whether each function has a process of its own.
        stores: ``embedded``, or ``servers`` to start the database servers whose address is not given.
        project_dir: folder that holds ``functions/``, ``triggers/`` and ``infra/``; that of this code by default.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    if feed not in FEEDS:
        raise ConfigurationError(f"FEED: expected one of {', '.join(FEEDS)}, was {feed!r}")
    settings = run_settings()
    store_options = _store_options(stores, settings)
    folder = feed if store_options.kind == EMBEDDED else f"{feed}-{store_options.kind}"
    return RunOptions(
        feed=feed,
        isolate=isolate,
        project_dir=(project_dir or Path(next(iter(infra.__path__))).parent).absolute(),
        data_dir=(settings.petrosa_data_dir or DEFAULT_FOLDERS / folder).absolute(),
        http_port=settings.petrosa_http_port,
        nats_port=settings.petrosa_nats_port,
        external_nats=settings.nats_url,
        market=settings.petrosa_market,
        clock=anchored(settings.petrosa_clock),
        stores=store_options,
    )


def _store_options(stores: str, settings: RunSettings) -> StoreOptions:
    if stores not in _STORES:
        raise ConfigurationError(f"STORES: expected one of {', '.join(_STORES)}, was {stores!r}")
    given = load_settings()
    return StoreOptions(
        start_servers=stores == SERVERS,
        mongodb_given=given.mongodb_address is not None,
        mysql_given=given.mysql_url is not None,
        mongodb_port=settings.petrosa_mongodb_port,
        mysql_port=settings.petrosa_mysql_port,
    )


def anchored(clock: str | None) -> str | None:
    """Return ``PETROSA_CLOCK`` as ``<instant>@<anchor>``, so that all processes of the run share one clock.

    Raises:
        ConfigurationError: it is not an instant.
    """
    if not clock:
        return None
    clock_from(clock)
    return clock if "@" in clock else f"{clock}@{to_iso(SystemClock().now_ms())}"


def part_environment(
    options: RunOptions, folder: StateFolder, addresses: Mapping[str, str], base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment that all parts share: what the user set, and where the parts of this run are.

    Args:
        options: what the run was started with.
        folder: its state folder.
        addresses: where parts and database servers of the run are, by variable.
        base: what the user set; the environment of this process by default.

    Raises:
        ConfigurationError: a setting of the system is wrong; said before any part is started.
    """
    shared = {
        "PETROSA_DATA_DIR": str(folder.path),
        "PETROSA_MARKET": options.market,
        "PETROSA_CLOCK": options.clock or "",
        "NATS_URL": options.nats_url,
        **addresses,
    }
    given = {name: value for name, value in (os.environ if base is None else base).items() if name not in _BOUND}
    known = {name.lower(): value for name, value in shared.items() if name.lower() in Settings.model_fields}
    load_settings(**known)
    return _DEFAULTS | given | shared
