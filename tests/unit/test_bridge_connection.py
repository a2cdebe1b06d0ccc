"""The connection is made anew also after an error on which the client library gives up for good."""

import asyncio

import pytest

from common.errors import ConfigurationError, TemporaryError
from common.settings import load_settings
from tests.support.patience import PATIENCE_S
from triggers.nats_bridge.connection import Connection

INFO = b'INFO {"server_id":"x","version":"2.12.0","max_payload":1048576,"headers":true}\r\n'


class RudeServer:
    """Speaks just enough of the protocol to be connected to, and throws each client but the last one out."""

    def __init__(self, rude_to: int) -> None:
        self.connections = 0
        self._rude_to = rude_to
        self._over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(INFO)
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
                if self.connections <= self._rude_to:
                    writer.write(b"-ERR 'Maximum Payload Violation'\r\n")
        writer.close()


def test_a_client_that_was_thrown_out_is_replaced() -> None:
    async def run() -> None:
        rude = RudeServer(rude_to=2)
        server = await asyncio.start_server(rude.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = Connection(load_settings(nats_url=f"nats://127.0.0.1:{port}"))
        with pytest.raises(TemporaryError):
            connection.connected_client()
        running = asyncio.create_task(connection.run())
        async with asyncio.timeout(PATIENCE_S):
            while not (rude.connections == 3 and connection.is_connected):  # noqa: ASYNC110 - a counter
                await asyncio.sleep(0.01)
        assert connection.connected_client().is_connected
        await connection.close(1.0)
        await running
        assert rude.connections == 3
        server.close()

    asyncio.run(run())


@pytest.mark.parametrize("url", ["nats://", "nats://a,ws://b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    async def run() -> None:
        await Connection(load_settings(nats_url=url)).run()

    with pytest.raises(ConfigurationError, match="NATS_URL"):
        asyncio.run(run())
