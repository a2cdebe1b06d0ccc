"""The producer's envelope (design.md, "Kinds of messages") around an event whose bytes are not touched.

Everything in it follows from the event: the same recording, or the same simulated market, gives the same bytes and the
same message id whenever it is published, so a stream and a store take it once.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID, uuid5

# The names of a stream's second part, where they are not the event's own name.
_STREAM_NAMES: Final = {
    "24hrTicker": "ticker",
    "depthUpdate": "depth20@100ms",
    "markPriceUpdate": "markPrice@1s",
    "fundingRate": "fundingRate@1s",
}
_NAMESPACE: Final = uuid5(UUID(int=0), "petrosa.feeds").bytes
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def stream_name(symbol: str, event_name: str) -> str:
    """Return the stream name that the producer makes of an event: ``btcusdt@depth20@100ms``."""
    return f"{symbol.lower()}@{_STREAM_NAMES.get(event_name, event_name)}"


def message_id(stream: str, data: bytes) -> str:
    """Return the id of a message: the UUID (version 5) of its stream and its event, so equal events have equal ids."""
    digest = hashlib.sha1(_NAMESPACE + stream.encode() + b" " + data, usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANTS[digest[16]]}{digest[17:20]}-{digest[20:32]}"


def encode(stream: str, data: bytes, time_us: int) -> tuple[bytes, str]:
    """Return the envelope and its message id.

    Args:
        stream: the stream's name.
        data: one Binance event, JSON on one line; it stands in the envelope byte for byte.
        time_us: when the producer had it, in microseconds since the epoch.
    """
    identity = message_id(stream, data)
    head, tail = f'{{"stream":"{stream}","data":', f',"timestamp":"{timestamp(time_us)}","message_id":"{identity}"'
    return b'%b%b%b,"source":"binance-websocket","version":"1.0"}' % (head.encode(), data, tail.encode()), identity


def timestamp(time_us: int) -> str:
    """Return ``2025-10-20T12:34:56.789012Z``; the fraction is left out when it is zero, as the producer does."""
    seconds, fraction = divmod(time_us, 1_000_000)
    return f"{_to_the_second(seconds)}.{fraction:06d}Z" if fraction else f"{_to_the_second(seconds)}Z"


@lru_cache(maxsize=256)
def _to_the_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
