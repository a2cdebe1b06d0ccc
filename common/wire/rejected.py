"""Rejected messages on their way to the dead-letter store: one JSON object a line, with the fields of a dead letter."""

from typing import Final, get_type_hints

import msgspec

from common.errors import MalformedEvent
from common.models.dead_letters import DeadLetter

_DEFAULTS: Final = DeadLetter._field_defaults
_Line: Final = msgspec.defstruct(
    "_Line",
    [(name, hint, _DEFAULTS.get(name, msgspec.NODEFAULT)) for name, hint in get_type_hints(DeadLetter).items()],
    gc=False,
)
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Line).decode


def encode_rejected(letter: DeadLetter) -> bytes:
    """Return ``letter`` as one line, without the line's end."""
    return _encode(letter._asdict())


def decode_rejected(line: bytes) -> DeadLetter:
    """Read a line of ``encode_rejected``; unknown fields are ignored.

    Raises:
        MalformedEvent: the line is not such an object.
    """
    try:
        return DeadLetter(*msgspec.structs.astuple(_decode(line)))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEvent(f"not a rejected message: {error}") from error
