"""Whether a database server of this machine answers, asked in its own protocol."""

import asyncio
from typing import Final

from infra.local.ports import LOOPBACK

_TIMEOUT_S: Final = 1.0
_MYSQL_PROTOCOL: Final = 10  # the first byte of the greeting, after the head of the packet
_PACKET_HEAD_BYTES: Final = 4


async def mysql_greets(port: int) -> bool:
    """Tell whether a MySQL server takes connections on ``port``: it speaks first."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                return (await reader.readexactly(_PACKET_HEAD_BYTES + 1))[-1] == _MYSQL_PROTOCOL
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def mongodb_answers(port: int) -> bool:
    """Tell whether a MongoDB server answers on ``port``."""
    from pymongo import AsyncMongoClient
    from pymongo.errors import PyMongoError

    if not await _is_open(port):  # seen sooner than the driver does
        return False
    timeout_ms = int(_TIMEOUT_S * 1000)
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(
        LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=timeout_ms, timeoutMS=timeout_ms
    )
    async with client:
        try:
            await client.admin.command("ping")
        except PyMongoError:
            return False
    return True


async def _is_open(port: int) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
