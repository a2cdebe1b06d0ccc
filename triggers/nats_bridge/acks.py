"""Answers to JetStream about many messages: reply subjects, each group with the one body for all of them.

A message is answered by publishing to its reply subject, ``$JS.ACK.…``, which also says how often it was delivered
and where it stands in its stream.
"""

from collections.abc import Callable, Sequence
from typing import Final

# Reply subjects that get the same body.
Answers = list[tuple[Sequence[str], bytes]]

# Tokens of `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`; a server with a
# domain puts it and the account's hash before the stream, and may append tokens.
_PLAIN_TOKENS: Final = 9
_DELIVERIES: Final = 4
_WITH_DOMAIN: Final = 2


def acknowledged(replies: Sequence[str]) -> Answers:
    """Say that the messages are done."""
    return [(replies, b"")]


def in_progress(replies: Sequence[str]) -> Answers:
    """Say that work on the messages goes on: the server's wait for them begins anew."""
    return [(replies, b"+WPI")]


def terminated(replies: Sequence[str]) -> Answers:
    """Say that the messages must not come again, though they could not be processed."""
    return [(replies, b"+TERM")]


def given_back(replies: Sequence[str], delay_s: Callable[[int], float]) -> Answers:
    """Say that the messages were not processed and shall come again.

    Args:
        replies: the messages' reply subjects.
        delay_s: tells the wait in seconds from the number of deliveries so far; 0 means at once.
    """
    groups: dict[str, list[str]] = {}
    for reply, (deliveries, _) in zip(replies, _histories(replies), strict=True):
        groups.setdefault(deliveries, []).append(reply)
    return [(group, _negative(delay_s(int(count)))) for count, group in groups.items()]


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


def _negative(delay_s: float) -> bytes:
    return b'-NAK {"delay": %d}' % int(delay_s * 1e9) if delay_s > 0 else b"-NAK"
