"""The families of market data, in one table: what feeds each, what its rows are, and what is true of them.

Whoever deals with families reads this table: the bridge which messages are of which kind, ingest which struct and
which rows they become, the stores how rows are laid out, told apart and ordered, retention which setting says how long
they stay. To add a family is to add an entry. It loads no library, so that every function can afford it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from common.models.precedence import CANDLES, FUNDING, Precedence
from common.models.rows import (
    AggTradeRow,
    CandleRow,
    DepthRow,
    FundingRow,
    MarketRow,
    MarkPriceRow,
    TickerRow,
    TradeRow,
)
from common.timeframes import Timeframe

_TIME: Final = "time_ms"


class Family(StrEnum):
    """The families of stored market data, named as their collections begin."""

    TRADES = "trades"
    AGG_TRADES = "agg_trades"
    TICKERS = "tickers"
    DEPTH = "depth"
    MARK_PRICES = "mark_prices"
    FUNDING_RATES = "funding_rates"
    CANDLES = "candles"


@dataclass(frozen=True, slots=True)
class FamilySpec:
    """What is known of a family.

    Attributes:
        family: which.
        row: the type of its rows. Fields before ``time_ms`` say which series a row belongs to.
        kind: the kind of market event whose messages become its rows, as it stands in event types.
        struct: the name of that message's struct in ``common.wire.binance``.
        events: names by which the exchange calls the event, in lower case.
        streams: names of its streams, in lower case; ``*`` stands for any end.
        identity: the field that tells the rows of a series apart.
        retention: the setting that says how long rows stay.
        precedence: how rows of one key compete; facts do not, of them the first stays.
    """

    family: Family
    row: type[MarketRow]
    kind: str
    struct: str
    events: tuple[str, ...]
    streams: tuple[str, ...]
    identity: str = _TIME
    retention: str | None = None
    precedence: Precedence[Any] | None = None

    @property
    def scope(self) -> tuple[str, ...]:
        """The fields that say which series a row belongs to."""
        return self.row._fields[: self.row._fields.index(_TIME)]

    @property
    def order(self) -> tuple[str, ...]:
        """The fields that order the rows of a series."""
        return (_TIME,) if self.identity == _TIME else (_TIME, self.identity)


def _table(*specs: FamilySpec) -> Mapping[Family, FamilySpec]:
    return MappingProxyType({spec.family: spec for spec in specs})


FAMILIES: Final = _table(
    FamilySpec(
        Family.TRADES,
        TradeRow,
        kind="trade",
        struct="Trade",
        events=("trade",),
        streams=("trade",),
        identity="trade_id",
        retention="petrosa_retention_trade",
    ),
    FamilySpec(
        Family.AGG_TRADES,
        AggTradeRow,
        kind="aggtrade",
        struct="AggTrade",
        events=("aggtrade",),
        streams=("aggtrade",),
        identity="agg_trade_id",
        retention="petrosa_retention_trade",
    ),
    FamilySpec(
        Family.TICKERS,
        TickerRow,
        kind="ticker",
        struct="Ticker",
        events=("24hrticker",),
        streams=("ticker",),
        retention="petrosa_retention_ticker",
    ),
    FamilySpec(
        Family.DEPTH,
        DepthRow,
        kind="depth",
        struct="Depth",
        events=("depthlevel", "depthupdate"),
        streams=("depth*",),
        identity="last_update_id",
        retention="petrosa_retention_depth",
    ),
    FamilySpec(
        Family.MARK_PRICES,
        MarkPriceRow,
        kind="markprice",
        struct="MarkPrice",
        events=("markpriceupdate",),
        streams=("markprice",),
        retention="petrosa_retention_markprice",
    ),
    FamilySpec(
        Family.FUNDING_RATES,
        FundingRow,
        kind="funding",
        struct="Funding",
        events=("fundingrate",),
        streams=("fundingrate",),
        retention="petrosa_retention_funding",
        precedence=FUNDING,
    ),
    FamilySpec(
        Family.CANDLES,
        CandleRow,
        kind="kline",
        struct="Kline",
        events=("kline",),
        streams=("kline*",),
        retention="petrosa_retention_candle",
        precedence=CANDLES,
    ),
)

# The same entries by the kind of event that feeds them.
BY_KIND: Final[Mapping[str, FamilySpec]] = MappingProxyType({spec.kind: spec for spec in FAMILIES.values()})


class Series(NamedTuple):
    """The rows of one family, one pair and, for candles, one interval, in the order of time."""

    family: Family
    symbol: str
    timeframe: Timeframe | None = None

    @property
    def scope(self) -> tuple[str, ...]:
        """What the rows say themselves of which series they belong to."""
        return (self.symbol,) if self.timeframe is None else (self.symbol, str(self.timeframe))

    @property
    def interval_ms(self) -> int:
        """The length of its candles; 0 where rows stand on no grid."""
        return 0 if self.timeframe is None else self.timeframe.duration_ms

    @property
    def dataset_id(self) -> str:
        """The name of the dataset, which is also that of its collection: ``candles_BTCUSDT_1h``."""
        return dataset_id(self.family, *self.scope)


def dataset_id(family: Family, *scope: str) -> str:
    """Return the name of the dataset that rows of a family with this scope belong to."""
    return "_".join((family, *scope))
