"""The only place that relies on parts of the NATS client library which are not public, for what they save.

- Messages of one subscription are taken straight off the bytes of the connection. The library makes an object of every
  message, puts it into a queue, and wakes a task for it: two thirds of the CPU time of a bridge that only groups them.
- Thousands of answers go out in one write. The library publishes one message a call, which would cost more than the
  rest of the bridge together.

Where a version of the library lacks these parts, messages come by the callback of their subscription and answers go
out one by one: slower, and the same otherwise.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.errors import Error

from triggers.nats_bridge.acks import Answers

log = logging.getLogger(__name__)

# What is needed of the library, by the object that has it.
WRITING: Final = ("_send_command", "_flush_pending")
READING: Final = ("_ps",)
PARSER: Final = ("parse", "reset", "buf", "needed", "state")
SUBSCRIPTION: Final = ("_id",)

_LINE_END: Final = b"\r\n"
_PLAIN: Final = b"MSG"  # MSG <subject> <sid> [reply] <size>
_WITH_HEADERS: Final = b"HMSG"  # HMSG <subject> <sid> [reply] <size of headers> <size of headers and payload>
_PLAIN_WORDS: Final = 5
_HEADER_WORDS: Final = 6

Take = Callable[[bytes, str], None]


async def publish(client: Client, answers: Answers) -> None:
    """Publish answers, in one write where that is possible."""
    if not _has(client, WRITING):
        with contextlib.suppress(Error):  # while the connection is lost: the server delivers these messages again
            for replies, body in answers:
                for reply in replies:
                    await client.publish(reply, body)
        return
    text = b"".join(_commands(replies, body) for replies, body in answers)
    if text:
        await client._send_command(text)  # noqa: SLF001 - see above
        await client._flush_pending()  # noqa: SLF001 - see above


def _commands(replies: Sequence[str], body: bytes) -> bytes:
    if not replies:
        return b""
    tail = f" {len(body)}\r\n{body.decode()}\r\n"
    return f"PUB {f'{tail}PUB '.join(replies)}{tail}".encode()


class DirectParser:
    """Stands before the library's parser: it keeps the messages of one subscription and passes on everything else."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._between_frames = parser.state
        self._sid = b""
        self._take: Take | None = None
        self._taken: Callable[[int], None] = lambda _count: None
        self._count = 0
        self._wanted = 0  # buffered bytes without which the frame at the front is not whole
        self._resets = 0

    def divert(self, subscription: Subscription, take: Take, taken: Callable[[int], None]) -> None:
        """Send the messages of ``subscription``, and of no other one, the short way from now on.

        Args:
            subscription: whose messages are meant; those without a reply subject stay on the usual way.
            take: gets the payload and the reply subject of each.
            taken: is called after each piece that was read, with the number of messages that were in it.
        """
        if _has(subscription, SUBSCRIPTION):
            self._sid = b"%d" % subscription._id  # noqa: SLF001 - the wire knows a subscription by its number alone
            self._take, self._taken = take, taken

    def reset(self) -> None:
        """Forget what was read of a connection that is gone."""
        self._parser.reset()
        self._wanted = 0
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Read one piece of the stream."""
        parser = self._parser
        if self._take is None:
            await parser.parse(data)
            return
        if parser.state != self._between_frames:  # the library's parser is inside a frame
            missing = parser.needed + len(_LINE_END) - len(parser.buf)
            await parser.parse(data[:missing])
            data = data[missing:]
        parser.buf.extend(data)
        if data and len(parser.buf) >= self._wanted:
            await self._parse_frames(parser, self._take)

    async def _parse_frames(self, parser: Any, take: Take) -> None:
        data = bytes(parser.buf)
        resets = self._resets
        self._count = 0
        position, foreign_end = self._divert(data, 0, take)
        while foreign_end:
            parser.buf[:] = data[position:foreign_end]
            await parser.parse()
            if self._resets != resets:
                return
            position, foreign_end = self._divert(data, foreign_end, take)
        parser.buf[:] = data[position:]
        self._taken(self._count)

    def _divert(self, data: bytes, position: int, take: Take) -> tuple[int, int]:
        """Take the messages from ``position`` on up to a frame that is another's or not whole.

        Returns:
            Where that frame begins, and where it ends if it is another's and whole, else 0.
        """
        size, sid = len(data), self._sid
        self._wanted = 0
        while (line_end := data.find(_LINE_END, position)) >= 0:
            words = data[position:line_end].split(b" ")
            verb, count = words[0], len(words)
            start = stop = line_end + 2
            if verb in (_PLAIN, _WITH_HEADERS):
                stop += int(words[-1]) + 2
            if stop > size:
                self._wanted = stop - position
                break
            if count == _PLAIN_WORDS and verb == _PLAIN and words[2] == sid:
                take(data[start : stop - 2], words[3].decode())
            elif count == _HEADER_WORDS and verb == _WITH_HEADERS and words[2] == sid:
                take(data[start + int(words[4]) : stop - 2], words[3].decode())
            else:
                return position, stop
            self._count += 1
            position = stop
        return position, 0


def install(client: Client) -> DirectParser | None:
    """Give a client that is not connected yet the parser with the short way; None where it has no place for one."""
    if not _has(client, READING) or not _has(client._ps, PARSER):  # noqa: SLF001 - see above
        return None
    parser = DirectParser(client._ps)  # noqa: SLF001 - see above
    client._ps = parser  # type: ignore[assignment]  # noqa: SLF001 - the library has no other place for it
    return parser


def _has(owner: object, names: tuple[str, ...]) -> bool:
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        log.debug("the client library lacks a short way", extra={"owner": type(owner).__name__, "missing": missing})
    return not missing
