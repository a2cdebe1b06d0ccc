"""A TCP proxy between a client and a server of the tests, which fails as networks do.

::

    with Proxy(server.port) as proxy:
        client = connect(port=proxy.port)
        proxy.cut_after(1000)  # in the middle of the next large request

It runs in a thread of its own, so it serves clients of the test's process and of others alike. Every method has taken
effect when it returns.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self

from infra.local.ports import free_ports
from tests.support.servers.handle import LOOPBACK

_PIECE_BYTES: Final = 65_536
_EFFECT_SECONDS: Final = 10.0
# Linger on, for no time: closing sends a reset, as a lost peer's kernel would.
_RESET: Final = struct.pack("ii", 1, 0)


class _Link:
    """One client's connection and the one to the server behind it."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.task: asyncio.Task[None] | None = None

    def drop(self) -> None:
        """Close both connections at once, with a reset to the client; what is under way is lost."""
        if not self.client.is_closing():
            self.client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.client.transport.abort()
        if self.server is not None:
            self.server.transport.abort()
        if self.task is not None:
            self.task.cancel()


class Proxy:
    """Forwards connections of a free local port to a server.

    Attributes:
        port: the port that clients connect to.
        delay_ms: how long each piece of data is held before it goes on, in both directions; may be changed any time.
    """

    def __init__(self, target_port: int, *, target_host: str = LOOPBACK, delay_ms: int = 0) -> None:
        [self.port] = free_ports(1)
        self.delay_ms = delay_ms
        self._target = (target_host, target_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._left_bytes: int | None = None  # what may still go to the server before the cut; None: no limit

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        """Number of connections that are open through the proxy."""
        return len(self._links)

    def cut(self) -> None:
        """Drop all open connections at once; new ones are accepted as before."""
        self._do(self._cut())

    def cut_after(self, n_bytes: int) -> None:
        """Drop all open connections as soon as ``n_bytes`` more (at least 1, over all connections) went to the server.

        The server gets exactly so many. It happens once; connections opened afterwards are not concerned.
        """
        assert n_bytes >= 1, f"n_bytes was {n_bytes}: use cut() to drop connections now"
        self._do(self._limit(n_bytes))

    def refuse(self) -> None:
        """Refuse new connections, as a server that does not run; open ones go on."""
        self._do(self._close_listener())

    def accept(self) -> None:
        """Accept connections again, on the same port."""
        self._do(self._open_listener())

    def stall(self) -> None:
        """Accept connections but forward nothing in either direction; what is sent is held."""
        self._do(self._set_flowing(on=False))

    def resume(self) -> None:
        """Forward again, beginning with what was held."""
        self._do(self._set_flowing(on=True))

    def _do(self, effect: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(effect, self._loop).result(_EFFECT_SECONDS)

    async def _open_listener(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accepted, LOOPBACK, self.port)

    async def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _set_flowing(self, *, on: bool) -> None:
        if on:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _limit(self, n_bytes: int) -> None:
        self._left_bytes = n_bytes

    async def _cut(self) -> None:
        tasks = [link.task for link in self._links if link.task is not None]
        self._drop_all()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop_all(self) -> None:
        for link in self._links:
            link.drop()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        link.task = asyncio.create_task(self._serve(link, reader))

    async def _serve(self, link: _Link, from_client: asyncio.StreamReader) -> None:
        try:
            from_server, link.server = await asyncio.open_connection(*self._target)
            # Without a buffer of its own, `drain` returns when the kernel has all: a cut then falls where it should.
            link.server.transport.set_write_buffer_limits(high=0)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(from_client, link.server, to_server=True))
                both.create_task(self._forward(from_server, link.client, to_server=False))
        except* OSError:
            pass  # one side is away: the other sees its connection end
        finally:
            link.drop()
            self._links.discard(link)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, to_server: bool) -> None:
        while data := await source.read(_PIECE_BYTES):
            if self.delay_ms:
                await asyncio.sleep(self.delay_ms / 1000)
            await self._flowing.wait()
            await (self._send_to_server(sink, data) if to_server else self._send(sink, data))
        sink.write_eof()

    async def _send_to_server(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        left = self._left_bytes
        if left is None or left > len(data):
            self._left_bytes = None if left is None else left - len(data)
            await self._send(sink, data)
            return
        self._left_bytes = None
        await self._send(sink, data[:left])
        self._drop_all()

    async def _send(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        sink.write(data)
        await sink.drain()
