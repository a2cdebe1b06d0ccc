"""The ingest handler beside its floor: decoding and ``executemany`` of the same bytes, nothing else."""

import asyncio
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from common.clock import FixedClock
from common.events import Event, types
from common.settings import Settings
from common.storage.open import open_market_store
from common.wire.binance import AggTrade, Kline, MarkPrice, Ticker, Trade
from common.wire.classify import classify
from functions.ingest.writer import Writer
from tests.bench.report import Figure, in_turn
from tests.bench.traffic import Traffic, batches

MESSAGES: Final = 100_000
BATCH: Final = 1000
ROUNDS: Final = 15
START_MS: Final = 1_760_000_000_000


class _Level(msgspec.Struct, array_like=True, gc=False):
    price: str
    quantity: str


class _Depth(msgspec.Struct, gc=False):
    s: str
    E: int
    u: int
    b: list[_Level]
    a: list[_Level]


class _Envelope(msgspec.Struct, gc=False):
    data: Any


_encode = msgspec.json.Encoder().encode

_BARE: Final[dict[str, tuple[type, Callable[[Any], tuple[Any, ...]], str, str]]] = {
    "trade": (
        Trade,
        lambda d: (d.s, d.T, d.t, d.p, d.q, d.m),
        "symbol, time_ms INTEGER, id INTEGER, price, quantity, maker, PRIMARY KEY (symbol, time_ms, id)",
        "INSERT OR IGNORE",
    ),
    "aggtrade": (
        AggTrade,
        lambda d: (d.s, d.T, d.a, d.p, d.q, d.m),
        "symbol, time_ms INTEGER, id INTEGER, price, quantity, maker, PRIMARY KEY (symbol, time_ms, id)",
        "INSERT OR IGNORE",
    ),
    "ticker": (
        Ticker,
        lambda d: (d.s, d.E, d.o, d.h, d.l, d.c, d.v, d.q, d.p, d.P, d.n),
        "symbol, time_ms INTEGER, o, h, l, c, v, q, p, pp, n, PRIMARY KEY (symbol, time_ms)",
        "INSERT OR IGNORE",
    ),
    "depth": (
        _Depth,
        lambda d: (d.s, d.E, d.u, _encode(d.b).decode(), _encode(d.a).decode()),
        "symbol, time_ms INTEGER, id INTEGER, bids, asks, PRIMARY KEY (symbol, time_ms, id)",
        "INSERT OR IGNORE",
    ),
    "markprice": (
        MarkPrice,
        lambda d: (d.s, d.E, d.p, d.i, d.P, d.r, d.T),
        "symbol, time_ms INTEGER, p, i, pp, r, t, PRIMARY KEY (symbol, time_ms)",
        "INSERT OR IGNORE",
    ),
    "kline": (
        Kline,
        lambda d: (d.s, d.k.i, d.k.t, d.k.o, d.k.h, d.k.l, d.k.c, d.k.v, d.k.q, d.k.n, d.k.V, d.k.Q, d.k.x, d.E),
        "symbol, i, time_ms INTEGER, o, h, l, c, v, q, n, tv, tq, x, e, PRIMARY KEY (symbol, i, time_ms)",
        "INSERT OR REPLACE",
    ),
}


def measure() -> list[Figure]:
    """Return CPU time of the bare loop over CPU time of the handler, on the same batches."""
    events = _events()
    rates = in_turn(
        lambda: MESSAGES / asyncio.run(_handler(events)),
        lambda: MESSAGES / _bare(events),
        ROUNDS,
    )
    return [
        Figure(
            "ingest handler",
            rates.value,
            "messages/CPU-s",
            ">= 70 % of bare decode + executemany",
            rates.ratio >= 0.70,
            rates.floor,
            rates.ratio,
        )
    ]


def _events() -> list[Event]:
    by_kind: dict[str, list[bytes]] = defaultdict(list)
    for raw in Traffic(START_MS).messages(MESSAGES):
        by_kind[classify(raw).kind].append(raw)
    return [
        Event(type=types.market(kind), source="/bench", data=b"\n".join(part))
        for kind, messages in by_kind.items()
        for part in batches(messages, BATCH)
    ]


def _bare(events: Sequence[Event]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        decoders = {}
        for kind, (struct, row, columns, insert) in _BARE.items():
            connection.execute(f"CREATE TABLE {kind} ({columns}) WITHOUT ROWID")
            width = columns.partition(", PRIMARY")[0].count(",") + 1
            statement = f"{insert} INTO {kind} VALUES ({','.join('?' * width)})"
            envelope = msgspec.defstruct("Envelope", [("data", struct)], gc=False)
            decode: Callable[[bytes], Any] = msgspec.json.Decoder(envelope).decode
            decoders[types.market(kind)] = (decode, row, statement)
        started = time.process_time()
        for event in events:
            decode, row, statement = decoders[event.type]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, [row(decode(raw).data) for raw in event.data.split(b"\n")])
            connection.execute("COMMIT")
        elapsed = time.process_time() - started
        connection.close()
        return elapsed


async def _handler(events: Sequence[Event]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = await open_market_store(Settings(petrosa_data_dir=Path(folder)))
        writer = Writer(store, FixedClock(START_MS + 86_400_000))
        await store.ping()
        started = time.process_time()
        for event in events:
            await writer.store(event)
        elapsed = time.process_time() - started
        await store.close()
        return elapsed
