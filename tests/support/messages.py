"""Hand-made messages of every kind, as the producer publishes them, adjustable."""

import json
from typing import Any

NOW_MS = 1_760_963_760_000  # 2025-10-20T12:36:00Z, a little after the examples

EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "trade": (
        "btcusdt@trade",
        {
            "e": "trade", "E": 1760963696781, "s": "BTCUSDT", "t": 5412887013, "p": "64120.50", "q": "0.012",
            "T": 1760963696780, "m": True, "M": True,
        },
    ),
    "aggtrade": (
        "ethusdt@aggTrade",
        {
            "e": "aggTrade", "E": 1760963700155, "s": "ETHUSDT", "a": 2210045781, "p": "3871.42", "q": "1.850",
            "f": 4410098120, "l": 4410098124, "T": 1760963700150, "m": False,
        },
    ),
    "ticker": (
        "btcusdt@ticker",
        {
            "e": "24hrTicker", "E": 1760963701012, "s": "BTCUSDT", "p": "-412.30", "P": "-0.639", "w": "64388.17",
            "c": "64118.90", "Q": "0.004", "o": "64531.20", "h": "65210.00", "l": "63702.50", "v": "182334.118",
            "q": "11740182334.52", "O": 1760877300000, "C": 1760963701010, "F": 5410021100, "L": 5412887099,
            "n": 2865999,
        },
    ),
    "depth": (
        "btcusdt@depth20@100ms",
        {
            "e": "depthUpdate", "E": 1760963702204, "T": 1760963702198, "s": "BTCUSDT", "U": 8900112200411,
            "u": 8900112204418, "pu": 8900112200388,
            "b": [["64118.80", "3.114"], ["64118.70", "0.420"], ["64118.10", "1.005"]],
            "a": [["64118.90", "1.762"], ["64119.00", "0.208"], ["64119.60", "2.340"]],
        },
    ),
    "markprice": (
        "btcusdt@markPrice@1s",
        {
            "e": "markPriceUpdate", "E": 1760963703000, "s": "BTCUSDT", "p": "64120.07124113", "i": "64127.55021739",
            "P": "64098.11204410", "r": "0.00007214", "T": 1760976000000,
        },
    ),
    "funding": (
        "btcusdt@fundingRate@1s",
        {
            "e": "fundingRate", "E": 1760947200004, "s": "BTCUSDT", "r": "0.00006891", "p": "64240.11",
            "T": 1760976000000,
        },
    ),
    "kline": (
        "btcusdt@kline",
        {
            "e": "kline", "E": 1760963704022, "s": "BTCUSDT",
            "k": {
                "t": 1760961600000, "T": 1760965199999, "s": "BTCUSDT", "i": "1h", "f": 5412801102, "L": 5412887140,
                "o": "64302.10", "c": "64119.40", "h": "64355.00", "l": "64012.70", "v": "4120.338", "n": 86039,
                "x": False, "q": "264501233.114", "V": "1988.410", "Q": "127640551.902", "B": "0",
            },
        },
    ),
}  # fmt: skip


def message(kind: str, *, drop: str | None = None, **changes: Any) -> bytes:
    """Return a full envelope of ``kind`` with fields of the event changed (``k__x=True`` reaches into the kline)."""
    stream, example = EXAMPLES[kind]
    event = json.loads(json.dumps(example))
    for path, value in changes.items():
        target, name = _place(event, path)
        target[name] = value
    if drop is not None:
        target, name = _place(event, drop)
        del target[name]
    return envelope(event, stream)


def envelope(event: Any, stream: str = "btcusdt@trade") -> bytes:
    """Wrap an event as the producer does."""
    body = {
        "stream": stream,
        "data": event,
        "timestamp": "2025-10-20T12:35:02.298114Z",
        "message_id": "0d6b3c0e-3f0a-4f0e-9a53-5f3b7a1c9e42",
        "source": "binance-websocket",
        "version": "1.0",
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _place(event: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    outer, separator, inner = path.partition("__")
    return (event[outer], inner) if separator else (event, outer)
