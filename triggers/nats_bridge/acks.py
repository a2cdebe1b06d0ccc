"""Answers to JetStream about many messages, as one piece of protocol text for one write to the connection.

A message is answered by publishing to its reply subject, ``$JS.ACK.…``, which also says how often it was delivered
and where it stands in its stream.
"""

from collections.abc import Callable, Sequence
from typing import Final

# Tokens of `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`; a server with a
# domain puts it and the account's hash before the stream, and may append tokens.
_PLAIN_TOKENS: Final = 9
_DELIVERIES: Final = 4
_WITH_DOMAIN: Final = 2


def acknowledged(replies: Sequence[str]) -> bytes:
    """Say that the messages are done."""
    return _answers(replies, "")


def in_progress(replies: Sequence[str]) -> bytes:
    """Say that work on the messages goes on: the server's wait for them begins anew."""
    return _answers(replies, "+WPI")


def terminated(replies: Sequence[str]) -> bytes:
    """Say that the messages must not come again, though they could not be processed."""
    return _answers(replies, "+TERM")


def given_back(replies: Sequence[str], delay_s: Callable[[int], float]) -> bytes:
    """Say that the messages were not processed and shall come again.

    Args:
        replies: the messages' reply subjects.
        delay_s: tells the wait in seconds from the number of deliveries so far; 0 means at once.
    """
    groups: dict[str, list[str]] = {}
    for reply, (deliveries, _) in zip(replies, _histories(replies), strict=True):
        groups.setdefault(deliveries, []).append(reply)
    return b"".join(_answers(group, _negative(delay_s(int(count)))) for count, group in groups.items())


def sequences(replies: Sequence[str]) -> tuple[list[str], int]:
    """Return the messages' sequences in their stream, and how many of them were delivered before."""
    histories = _histories(replies)
    again = sum(deliveries != "1" for deliveries, _ in histories)
    return [sequence for _, sequence in histories], again


def _histories(replies: Sequence[str]) -> list[list[str]]:
    if not replies:
        return []
    plain = replies[0].count(".") < _PLAIN_TOKENS
    first = _DELIVERIES if plain else _DELIVERIES + _WITH_DOMAIN
    return [reply.split(".", first + 2)[first : first + 2] for reply in replies]


def _negative(delay_s: float) -> str:
    return f'-NAK {{"delay": {int(delay_s * 1e9)}}}' if delay_s > 0 else "-NAK"


def _answers(replies: Sequence[str], body: str) -> bytes:
    if not replies:
        return b""
    tail = f" {len(body)}\r\n{body}\r\n"
    return f"PUB {f'{tail}PUB '.join(replies)}{tail}".encode()
