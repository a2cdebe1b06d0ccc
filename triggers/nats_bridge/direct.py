"""A short way for the messages of one subscription: from the bytes of the connection straight to a function.

The client library makes an object of every message, puts it into a queue, and wakes a task for it. That is two thirds
of the CPU time of a bridge that only groups messages, so those of the pulled subscription leave the stream of bytes
here, before the library's own parser. Everything else, status messages included, goes the usual way.
"""

from collections.abc import Callable
from typing import Final

from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

_LINE_END: Final = b"\r\n"
_PLAIN: Final = b"MSG"  # MSG <subject> <sid> [reply] <size>
_WITH_HEADERS: Final = b"HMSG"  # HMSG <subject> <sid> [reply] <size of headers> <size of headers and payload>
_PLAIN_WORDS: Final = 5
_HEADER_WORDS: Final = 6

Take = Callable[[bytes, str], None]


class DirectParser(Parser):
    """The library's parser, except for the messages of one subscription."""

    def __init__(self, client: Client) -> None:
        self._sid = b""
        self._take: Take | None = None
        self._taken: Callable[[], None] | None = None
        self._wanted = 0  # buffered bytes without which the frame at the front is not whole
        self._resets = 0
        super().__init__(client)

    def divert(self, subscription: Subscription, take: Take, taken: Callable[[], None]) -> None:
        """Send the messages of ``subscription``, and of no other one, the short way from now on.

        Args:
            subscription: whose messages are meant; those without a reply subject stay on the usual way.
            take: gets the payload and the reply subject of each.
            taken: is called after the messages of a piece that was read.
        """
        self._sid = b"%d" % subscription._id  # noqa: SLF001 - the wire knows a subscription by its number alone
        self._take = take
        self._taken = taken

    def reset(self) -> None:
        """Forget what was read of a connection that is gone."""
        super().reset()
        self._wanted = 0
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Read one piece of the stream."""
        if self._take is None:
            await super().parse(data)
            return
        if self.state != AWAITING_CONTROL_LINE:  # the library's parser is inside a frame
            missing = self.needed + len(_LINE_END) - len(self.buf)
            await super().parse(data[:missing])
            data = data[missing:]
        self.buf.extend(data)
        if data and len(self.buf) >= self._wanted:
            await self._parse_frames(self._take)

    async def _parse_frames(self, take: Take) -> None:
        data = bytes(self.buf)
        resets = self._resets
        position, foreign_end = self._divert(data, 0, take)
        while foreign_end:
            self.buf[:] = data[position:foreign_end]
            await super().parse()
            if self._resets != resets:
                return
            position, foreign_end = self._divert(data, foreign_end, take)
        self.buf[:] = data[position:]
        if self._taken is not None:
            self._taken()

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
            position = stop
        return position, 0


def install(client: Client) -> DirectParser:
    """Give a client that is not connected yet the parser with the short way, and return it."""
    parser = DirectParser(client)
    client._ps = parser  # noqa: SLF001 - the library has no other place for it
    return parser
