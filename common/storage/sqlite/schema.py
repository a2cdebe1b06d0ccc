"""Tables of the embedded store: one typed table per family, columns in the order of the row's fields.

Prices and quantities are TEXT, the exchange's own digits. The primary key begins with the series and its time, so a
range of one series is one stretch of the table and no second index is needed. Books are large for a key-ordered
table, so theirs keeps rows and key apart.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from common.errors import ConfigurationError
from common.models.rows import ROW_TYPES, Family

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Series:
    """How the rows of one family are addressed.

    Attributes:
        table: name of the table.
        scope: columns that say which series a row belongs to.
        order: columns that order the rows of a series, the time first.
        width: number of columns.
    """

    table: str
    scope: tuple[str, ...]
    order: tuple[str, ...]
    width: int


def series_name(family: Family, *scope: object) -> str:
    """Return the name that a series has in the table ``series``."""
    return "_".join((family.value, *(str(part) for part in scope if part is not None)))


def _series(family: Family, *order: str, scope: tuple[str, ...] = ("symbol",)) -> Series:
    return Series(family.value, scope, ("time_ms", *order), len(ROW_TYPES[family]._fields))


SERIES: Final[dict[Family, Series]] = {
    Family.TRADES: _series(Family.TRADES, "trade_id"),
    Family.AGG_TRADES: _series(Family.AGG_TRADES, "agg_trade_id"),
    Family.TICKERS: _series(Family.TICKERS),
    Family.DEPTH: _series(Family.DEPTH, "last_update_id"),
    Family.MARK_PRICES: _series(Family.MARK_PRICES),
    Family.FUNDING_RATES: _series(Family.FUNDING_RATES),
    Family.CANDLES: _series(Family.CANDLES, scope=("symbol", "timeframe")),
}

# Counters kept by the transactions that change what they count.
DEAD_LETTERS: Final = "dead_letters"
ANALYTICS_CHANGES: Final = "analytics_changes"
COUNTERS: Final = (*(family.value for family in Family), DEAD_LETTERS, ANALYTICS_CHANGES)

_TABLES: Final = (
    """CREATE TABLE trades (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        trade_id INTEGER NOT NULL,
        price TEXT NOT NULL,
        quantity TEXT NOT NULL,
        is_buyer_maker INTEGER NOT NULL,
        PRIMARY KEY (symbol, time_ms, trade_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE agg_trades (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        agg_trade_id INTEGER NOT NULL,
        price TEXT NOT NULL,
        quantity TEXT NOT NULL,
        first_trade_id INTEGER,
        last_trade_id INTEGER,
        is_buyer_maker INTEGER NOT NULL,
        PRIMARY KEY (symbol, time_ms, agg_trade_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE tickers (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        open_price TEXT NOT NULL,
        high_price TEXT NOT NULL,
        low_price TEXT NOT NULL,
        close_price TEXT NOT NULL,
        volume TEXT NOT NULL,
        quote_volume TEXT NOT NULL,
        price_change TEXT NOT NULL,
        price_change_percent TEXT NOT NULL,
        trades_count INTEGER NOT NULL,
        PRIMARY KEY (symbol, time_ms)
    ) WITHOUT ROWID""",
    """CREATE TABLE depth (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        last_update_id INTEGER NOT NULL,
        bids TEXT NOT NULL,
        asks TEXT NOT NULL,
        PRIMARY KEY (symbol, time_ms, last_update_id)
    )""",
    """CREATE TABLE mark_prices (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        mark_price TEXT NOT NULL,
        index_price TEXT,
        estimated_settle_price TEXT,
        funding_rate TEXT,
        next_funding_time_ms INTEGER,
        PRIMARY KEY (symbol, time_ms)
    ) WITHOUT ROWID""",
    """CREATE TABLE funding_rates (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        funding_rate TEXT NOT NULL,
        mark_price TEXT,
        next_funding_time_ms INTEGER,
        event_time_ms INTEGER NOT NULL,
        origin INTEGER NOT NULL,
        PRIMARY KEY (symbol, time_ms)
    ) WITHOUT ROWID""",
    """CREATE TABLE candles (
        symbol TEXT NOT NULL,
        timeframe TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        open TEXT NOT NULL,
        high TEXT NOT NULL,
        low TEXT NOT NULL,
        close TEXT NOT NULL,
        volume TEXT NOT NULL,
        quote_volume TEXT,
        trades_count INTEGER,
        taker_buy_volume TEXT,
        taker_buy_quote_volume TEXT,
        is_closed INTEGER NOT NULL,
        event_time_ms INTEGER NOT NULL,
        origin INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        PRIMARY KEY (symbol, timeframe, time_ms)
    ) WITHOUT ROWID""",
    """CREATE TABLE dead_letters (
        dead_letter_id TEXT NOT NULL PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        field TEXT,
        detail TEXT NOT NULL,
        symbol TEXT,
        origin TEXT NOT NULL,
        excerpt TEXT NOT NULL,
        event_id TEXT,
        size_bytes INTEGER NOT NULL
    )""",
    # Kept by the transactions that make changes: what was read of a series is true for one count of changes, and a
    # series of millions of rows is counted by one look.
    """CREATE TABLE series (
        name TEXT NOT NULL PRIMARY KEY,
        changes INTEGER NOT NULL,
        row_count INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX dead_letters_time ON dead_letters (time_ms, dead_letter_id)",
    "CREATE INDEX dead_letters_kind ON dead_letters (kind, time_ms, dead_letter_id)",
    "CREATE INDEX dead_letters_reason ON dead_letters (reason, time_ms, dead_letter_id)",
    """CREATE TABLE analytics (
        symbol TEXT NOT NULL,
        metric TEXT NOT NULL,
        timeframe TEXT NOT NULL, -- '' for metrics without one
        as_of_ms INTEGER NOT NULL,
        computed_at_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (symbol, metric, timeframe, as_of_ms)
    )""",
    "CREATE INDEX analytics_metric ON analytics (metric, computed_at_ms)",
    "CREATE INDEX analytics_computed ON analytics (computed_at_ms)",
    "CREATE INDEX analytics_as_of ON analytics (as_of_ms)",
    "CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in a file that has none.

    Raises:
        ConfigurationError: the file was written by a newer version of this program.
    """
    if _is_current(connection):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _is_current(connection):  # another process was first
            return
        for statement in _TABLES:
            connection.execute(statement)
        connection.executemany("INSERT INTO counters VALUES (?, 0)", [(name,) for name in COUNTERS])
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_current(connection: sqlite3.Connection) -> bool:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise ConfigurationError(
            f"the market store had format {version}, this program knows {VERSION}: use the newer program, "
            "or choose another PETROSA_DATA_DIR"
        )
    return version == VERSION
