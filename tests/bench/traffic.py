"""Mixed traffic in the proportions of the recorded market, generated so that the bench runs on any machine.

Trades 69 %, books of 20+20 levels 21 %, ticker, mark price and candle 3.3 % each, 1 % exact repetitions. Ids and times
are consecutive, so the rows that must be stored are known exactly.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from common.models.families import Family

PAIRS: Final = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "SOLUSDT")
_KINDS: Final = ("trade", "depth", "ticker", "markprice", "kline")
_WEIGHTS: Final = (69, 21, 3.3, 3.3, 3.4)
_TAIL: Final = ',"message_id":"%s","source":"binance-websocket","version":"1.0"}'


@dataclass
class Traffic:
    """A seeded producer. ``expected`` counts the distinct rows of what was produced so far."""

    start_ms: int
    seed: int = 1
    expected: Counter[Family] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Seed the generator."""
        self._random = random.Random(self.seed)
        self._count = 0
        self._ids = Counter(dict.fromkeys(PAIRS, 10_000_000))
        self._keys: set[tuple[Family, str, int]] = set()
        self._last = b""

    def messages(self, count: int, *, now_ms: int | None = None) -> list[bytes]:
        """Return the next ``count`` messages, dated at ``now_ms`` or one after the other from the start on."""
        kinds = self._random.choices(_KINDS, _WEIGHTS, k=count)
        return [self._next(kind, now_ms) for kind in kinds]

    def _next(self, kind: str, now_ms: int | None) -> bytes:
        self._count += 1
        if self._last and self._count % 100 == 0:
            return self._last
        pair = PAIRS[self._count % len(PAIRS)]
        time_ms = self.start_ms + self._count if now_ms is None else now_ms
        made: str = getattr(self, f"_{kind}")(pair, time_ms)
        self._last = (made + _TAIL % f"{self._random.getrandbits(128):032x}").encode()
        return self._last

    def _envelope(self, pair: str, stream: str, event: str) -> str:
        return f'{{"stream":"{pair.lower()}@{stream}","data":{event},"timestamp":"2025-10-20T12:34:56.802113Z"'

    def _trade(self, pair: str, time_ms: int) -> str:
        self._ids[pair] += 1
        self.expected[Family.TRADES] += 1
        price, maker = self._price(), "true" if self._random.random() < 0.5 else "false"
        return self._envelope(
            pair,
            "trade",
            f'{{"e":"trade","E":{time_ms},"T":{time_ms},"s":"{pair}","t":{self._ids[pair]},"p":"{price}",'
            f'"q":"{self._random.randint(1, 9999) / 1000:.3f}","X":"MARKET","m":{maker}}}',
        )

    def _depth(self, pair: str, time_ms: int) -> str:
        self._ids[pair] += 1
        self.expected[Family.DEPTH] += 1
        middle = self._random.randint(600_000, 610_000)
        bids = ",".join(f'["{(middle - i) / 10:.2f}","{self._random.randint(1, 9999) / 1000:.3f}"]' for i in range(20))
        asks = ",".join(
            f'["{(middle + i) / 10:.2f}","{self._random.randint(1, 9999) / 1000:.3f}"]' for i in range(1, 21)
        )
        last = self._ids[pair]
        return self._envelope(
            pair,
            "depth20@100ms",
            f'{{"e":"depthUpdate","E":{time_ms},"T":{time_ms},"s":"{pair}","U":{last},"u":{last},"pu":{last - 1},'
            f'"b":[{bids}],"a":[{asks}]}}',
        )

    def _ticker(self, pair: str, time_ms: int) -> str:
        self._expect(Family.TICKERS, pair, time_ms)
        price = self._price()
        return self._envelope(
            pair,
            "ticker",
            f'{{"e":"24hrTicker","E":{time_ms},"s":"{pair}","p":"-412.30","P":"-0.639","w":"{price}","c":"{price}",'
            f'"Q":"0.004","o":"64531.20","h":"65210.00","l":"63702.50","v":"182334.118","q":"11740182334.52",'
            f'"O":{time_ms - 86_400_000},"C":{time_ms},"F":5410021100,"L":5412887099,"n":2865999}}',
        )

    def _markprice(self, pair: str, time_ms: int) -> str:
        self._expect(Family.MARK_PRICES, pair, time_ms)
        next_ms = time_ms // 28_800_000 * 28_800_000 + 28_800_000
        return self._envelope(
            pair,
            "markPrice@1s",
            f'{{"e":"markPriceUpdate","E":{time_ms},"s":"{pair}","p":"{self._price()}","i":"{self._price()}",'
            f'"P":"64098.11204410","r":"0.00007214","T":{next_ms}}}',
        )

    def _kline(self, pair: str, time_ms: int) -> str:
        open_ms = time_ms // 60_000 * 60_000
        self._expect(Family.CANDLES, pair, open_ms)
        price = self._price()
        return self._envelope(
            pair,
            "kline",
            f'{{"e":"kline","E":{time_ms},"s":"{pair}","k":{{"t":{open_ms},"T":{open_ms + 59_999},"s":"{pair}",'
            f'"i":"1m","f":1,"L":2,"o":"64302.10","c":"{price}","h":"64355.00","l":"64012.70","v":"4120.338","n":86039,'
            f'"x":false,"q":"264501233.114","V":"1988.410","Q":"127640551.902","B":"0"}}}}',
        )

    def _expect(self, family: Family, pair: str, key_ms: int) -> None:
        if (family, pair, key_ms) not in self._keys:
            self._keys.add((family, pair, key_ms))
            self.expected[family] += 1

    def _price(self) -> str:
        return f"{self._random.randint(6_000_000, 6_100_000) / 100:.2f}"


def batches(messages: list[bytes], size: int) -> Iterator[list[bytes]]:
    """Cut a list into lists of ``size``."""
    for start in range(0, len(messages), size):
        yield messages[start : start + size]
