"""Settings of every part, from the environment (and nothing else): names and defaults of the operations page.

``Settings`` is read once per process and passed on. ``.env.example`` lists every variable; a test keeps the two equal.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.errors import ConfigurationError
from common.intervals import cron_of
from common.symbols import is_symbol
from common.timeframes import Timeframe
from common.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

S = TypeVar("S", bound=BaseSettings)

_DURATION_UNITS = {"s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


def duration_ms(text: str) -> int:
    """Return the length that ``text`` names: ``90s``, ``15m``, ``12h``, ``7d``, or plain seconds."""
    number, unit = (text[:-1], text[-1]) if text and text[-1] in _DURATION_UNITS else (text, "s")
    if not number.isdigit() or int(number) == 0:
        raise ValueError("expected a length of time such as 90s, 15m, 12h or 7d")
    return int(number) * _DURATION_UNITS[unit]


class Settings(BaseSettings):
    """The configuration of a process. Fields carry the variable's name in lower case."""

    model_config = SettingsConfigDict(
        env_prefix="", case_sensitive=False, env_ignore_empty=True, extra="ignore", frozen=True
    )

    # Process
    environment: str = "production"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    port: int = Field(default=8080, ge=1, le=65535)
    petrosa_clock: str | None = None
    petrosa_market: Literal["um", "spot"] = "um"
    petrosa_compat: Literal["petrosa-clients"] | None = None
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    k_sink: str | None = None
    k_ce_overrides: str | None = None
    k_ca_certs: str | None = None
    sink_timeout_seconds: float = Field(default=30.0, gt=0)
    otel_enabled: bool = True
    otel_exporter_otlp_endpoint: str | None = None

    # NATS
    nats_url: str = "nats://localhost:4222"
    nats_consumer_subject: str = "binance.futures.websocket.data"
    nats_connect_timeout: float = Field(default=10.0, gt=0)
    nats_reconnect_time_wait: float = Field(default=2.0, gt=0)
    nats_stream: str = "PETROSA_MARKET"
    nats_consumer: str = "petrosa-data-manager"
    nats_stream_max_age: str = "24h"
    nats_stream_max_bytes: int = Field(default=8 * 1024**3, gt=0)
    nats_ack_wait_seconds: float = Field(default=5.0, ge=1)
    nats_dead_letter_subject: str = "petrosa.dead-letters"
    bridge_batch_messages: int = Field(default=2000, ge=1)
    bridge_batch_bytes: int = Field(default=512 * 1024, ge=1024)
    bridge_batch_ms: int = Field(default=50, ge=1)
    bridge_batches_in_flight: int = Field(default=12, ge=1)
    bridge_health_url: str = "http://127.0.0.1:8081"
    broker_stream_max_age: str = "7d"
    broker_stream_max_bytes: int = Field(default=1024**3, ge=1024**2)

    # Stores
    petrosa_data_dir: Path = Path(".petrosa/default")
    mongodb_url: str | None = Field(default=None, repr=False)
    mongodb_host: str | None = None
    mongodb_port: int = 27017
    mongodb_user: str = ""
    mongodb_password: str = Field(default="", repr=False)
    mongodb_db: str = "petrosa_data_manager"
    mongodb_timeout_ms: int = Field(default=5000, ge=100)
    mongodb_min_pool_size: int = Field(default=5, ge=0)
    mongodb_max_pool_size: int = Field(default=15, ge=1)
    mysql_uri: str | None = Field(default=None, repr=False)
    mysql_host: str | None = None
    mysql_port: int = 3306
    mysql_user: str = "root"
    mysql_password: str = Field(default="", repr=False)
    mysql_db: str = "petrosa_data_manager"
    mysql_pool_size: int = Field(default=5, ge=1)
    mysql_max_overflow: int = Field(default=10, ge=0)
    mysql_pool_timeout_seconds: float = Field(default=5.0, gt=0)
    mysql_pool_recycle_seconds: int = Field(default=1800, ge=1)
    mysql_connect_timeout_seconds: int = Field(default=3, ge=1)
    mysql_timeout_seconds: int = Field(default=4, ge=2)
    store_busy_timeout_ms: int = Field(default=2000, ge=0)
    circuit_breaker_failure_threshold: int = Field(default=5, ge=1)
    circuit_breaker_recovery_timeout: int = Field(default=60, ge=1)

    # What is handled
    supported_pairs: Annotated[tuple[str, ...], NoDecode] = (
        "BTCUSDT",
        "ETHUSDT",
        "BNBUSDT",
        "ADAUSDT",
        "SOLUSDT",
    )
    timeframes: Annotated[tuple[Timeframe, ...], NoDecode] = (
        Timeframe.M1,
        Timeframe.M5,
        Timeframe.M15,
        Timeframe.H1,
        Timeframe.H4,
        Timeframe.D1,
    )
    analytics_timeframes: Annotated[tuple[Timeframe, ...], NoDecode] = (Timeframe.H1, Timeframe.D1)
    analytics_metrics: Annotated[tuple[str, ...], NoDecode] = ()  # nothing named means all

    # Schedules and features
    enable_auditor: bool = True
    enable_analytics: bool = True
    enable_backfiller: bool = True
    audit_interval: int = 300
    analytics_interval: int = 900
    planner_max_slots: int = Field(default=96, ge=1)

    # Retention; nothing means for ever
    petrosa_retention_depth: str | None = "1d"
    petrosa_retention_ticker: str | None = "7d"
    petrosa_retention_trade: str | None = "7d"
    petrosa_retention_markprice: str | None = "7d"
    petrosa_retention_health: str | None = "90d"
    petrosa_retention_candle: str | None = None
    petrosa_retention_funding: str | None = None
    petrosa_retention_analytics: str | None = None
    petrosa_retention_dead_letter: str | None = "30d"

    @field_validator("audit_interval", "analytics_interval")
    @classmethod
    def _has_a_cron(cls, value: int) -> int:
        cron_of(value)
        return value

    @field_validator("supported_pairs", mode="before")
    @classmethod
    def _split_pairs(cls, value: object) -> object:
        pairs = _items(value)
        for pair in pairs:
            if not is_symbol(pair):
                raise ValueError(f"{pair!r} is not a trading symbol")
        return pairs

    @field_validator("timeframes", "analytics_timeframes", "analytics_metrics", mode="before")
    @classmethod
    def _split_items(cls, value: object) -> object:
        return _items(value)

    @field_validator(
        "petrosa_retention_depth",
        "petrosa_retention_ticker",
        "petrosa_retention_trade",
        "petrosa_retention_markprice",
        "petrosa_retention_health",
        "petrosa_retention_candle",
        "petrosa_retention_funding",
        "petrosa_retention_analytics",
        "petrosa_retention_dead_letter",
    )
    @classmethod
    def _check_retention(cls, value: str | None) -> str | None:
        if not value or value.lower() in {"none", "forever"}:
            return None
        duration_ms(value)
        return value

    @property
    def mongodb_address(self) -> str | None:
        """The market data server's address: ``MONGODB_URL``, or built from its parts when ``MONGODB_HOST`` is set."""
        if self.mongodb_url or not self.mongodb_host:
            return self.mongodb_url
        account = f"{quote(self.mongodb_user, safe='')}:{quote(self.mongodb_password, safe='')}@"
        return f"mongodb://{account if self.mongodb_user else ''}{_bracketed(self.mongodb_host)}:{self.mongodb_port}/"

    @property
    def mysql_url(self) -> str | None:
        """The metadata server's address: ``MYSQL_URI``, or built from its parts when ``MYSQL_HOST`` is set."""
        if self.mysql_uri:
            return self.mysql_uri
        if not self.mysql_host:
            return None
        account = f"{quote(self.mysql_user, safe='')}:{quote(self.mysql_password, safe='')}"
        return (
            f"mysql+pymysql://{account}@{_bracketed(self.mysql_host)}:{self.mysql_port}/{self.mysql_db}?charset=utf8mb4"
        )


def _bracketed(host: str) -> str:
    """Return a host as it stands in an address: an IPv6 one in brackets."""
    return f"[{host}]" if ":" in host else host


def _items(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(dict.fromkeys(item.strip() for item in value.split(",") if item.strip()))
    if isinstance(value, (list, tuple)):
        return tuple(str(item) for item in value)
    raise ValueError("expected a comma-separated list")


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; raises as ``read_settings``."""
    return read_settings(Settings, **overrides)


def read_settings(kind: type[S], **overrides: object) -> S:
    """Read settings of one kind from the environment.

    Raises:
        ConfigurationError: naming each variable that is wrong and what was expected of it.
    """
    try:
        return kind(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        raise ConfigurationError("wrong settings: " + "; ".join(lines)) from error
