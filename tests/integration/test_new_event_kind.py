"""The four edits that README names for a new event kind, done in a copy: it is classified, stored, read and deleted."""

import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]

STRUCT = '''
class BookTicker(Struct, gc=False):
    """``<symbol>@bookTicker``: best bid and ask."""

    u: Id
    E: Millis
    b: str
    B: str
    s: str | None = None
    symbol: str | None = None


BinanceEvent ='''

ROW = '''
class BookTickerRow(NamedTuple):
    """Best bid. Key: symbol, update id."""

    symbol: str
    time_ms: int
    update_id: int
    bid_price: str
    bid_quantity: str | None


MarketRow = BookTickerRow |'''

ENTRY = """
FAMILIES: Final = _table(
    FamilySpec(
        Family.BOOK_TICKERS,
        BookTickerRow,
        kind="bookticker",
        struct="BookTicker",
        events=("bookticker",),
        streams=("bookticker",),
        identity="update_id",
        retention="petrosa_retention_ticker",
    ),"""

READER = '''
def book_ticker_row(event: Any, envelope: Envelope[Any], latest_ms: int) -> BookTickerRow:
    """Return the best bid."""
    _check_time("E", event.E, latest_ms)
    return BookTickerRow(_known(event.s) or symbol_of(envelope, event), event.E, event.u, event.b, event.B)


READERS: Final[dict[str, Reader]] = {
    "bookticker": book_ticker_row,'''

ROW_IMPORT = ("    AggTradeRow,\n    CandleRow", "    AggTradeRow,\n    BookTickerRow,\n    CandleRow")
# file, what stands there, what stands there afterwards
EDITS = [
    ("common/wire/binance.py", "\nBinanceEvent =", STRUCT),
    ("common/models/rows.py", "\nMarketRow =", ROW),
    ("common/models/families.py", "\nFAMILIES: Final = _table(", ENTRY),
    ("common/models/families.py", '= "candles"\n', '= "candles"\n    BOOK_TICKERS = "book_tickers"\n'),
    ("common/models/families.py", *ROW_IMPORT),
    ("functions/ingest/rows.py", "\nREADERS: Final[dict[str, Reader]] = {", READER),
    ("functions/ingest/rows.py", *ROW_IMPORT),
]

PROGRAM = '''
import asyncio
import sys
from pathlib import Path

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

from common.clock import FixedClock
from common.events import Event, types
from common.models.families import FAMILIES, Family, Series
from common.models.rows import BookTickerRow
from common.settings import Settings
from common.storage.mongodb.documents import SHAPES
from common.storage.open import open_market_store
from common.storage.ports import Page, Window
from common.wire.classify import classify
from functions.ingest.writer import Writer
from functions.retention.rules import rules_of

CODECS = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
NOW = 1_760_961_600_000
DAY = 86_400_000
SERIES = Series(Family.BOOK_TICKERS, "BTCUSDT")
TIMES = {1: NOW - 9 * DAY, 2: NOW - 1, 3: NOW}


def message(number):
    values = (number, TIMES[number], number)
    return b'{"e":"bookTicker","u":%d,"E":%d,"s":"BTCUSDT","b":"64302.10","B":"0.5%d"}' % values


async def main(folder):
    assert classify(message(1))[:2] == ("bookticker", "BTCUSDT")
    settings = Settings(petrosa_data_dir=folder)
    store = await open_market_store(settings)
    event = Event(type=types.market("bookticker"), source="/bridge", data=b"\\n".join(map(message, (1, 2, 3, 2))))
    assert await Writer(store, FixedClock(NOW)).store(event) == (3, 0, 1, 0, 0)
    rows = [BookTickerRow("BTCUSDT", time, number, "64302.10", f"0.5{number}") for number, time in TIMES.items()]
    assert await store.page(SERIES, Window(limit=2)) == Page(rows[1:], 3, NOW, NOW, None)
    assert [change.dataset_id for change in await store.changes(0, limit=9)] == ["book_tickers_BTCUSDT"]
    (rule,) = (one for one in rules_of(settings, Stores(store)) if one.name == "book_tickers")
    assert await rule.delete(await rule.newest_ms() - rule.age_ms, 9) == 1
    assert (await store.totals())[Family.BOOK_TICKERS] == 2
    assert (await store.page(SERIES, Window(), counted=False)).rows == rows[1:]
    await store.close()
    shape = SHAPES[Family.BOOK_TICKERS]
    for row in (*rows, rows[0]._replace(bid_quantity=None)):
        stored = bson.decode(shape.write(row, b""), CODECS)
        assert shape.row(stored) == row
        assert stored["_id"] == f"BTCUSDT_{row.update_id}"


class Stores:
    """The stores that grow old; only that of the market is asked for."""

    def __init__(self, market):
        self.market = self.analytics = self.metadata = market
        market.delete_analytics_before = market.delete_health_before = None


asyncio.run(main(Path(sys.argv[1])))
print("stored, read and deleted")
'''


def test_an_event_kind_is_added_by_four_edits(tmp_path: Path) -> None:
    copied = tmp_path / "project"
    for folder in ("common", "functions"):
        shutil.copytree(ROOT / folder, copied / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, before, after in EDITS:
        file = copied / name
        text = file.read_text()
        assert text.count(before) == 1, (name, before)
        file.write_text(text.replace(before, after))
    assert len({name for name, _, _ in EDITS}) == 4
    ran = subprocess.run(
        [sys.executable, "-c", dedent(PROGRAM), str(tmp_path / "state")],
        cwd=copied,
        env={"PYTHONPATH": str(copied)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "stored, read and deleted\n", ran.stderr
