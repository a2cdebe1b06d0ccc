"""The connection to a MongoDB server or replica set: a pool, bounds on every wait, and which errors are its faults.

Nothing here needs a replica set. The driver reconnects by itself; a call fails with ``StoreUnavailable`` after a
bounded wait, and whoever sent the data sends it again.
"""

import asyncio
import warnings
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import AsyncMongoClient, errors
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from common.errors import ConfigurationError, StoreUnavailable, shortened
from common.storage.mongodb.documents import Document

T = TypeVar("T")
Collection = AsyncCollection[Document]

_FORM: Final = "mongodb://user:password@host:port/database, special characters of the password percent-encoded"
_DUPLICATE_KEY: Final = 11000
_DETAIL_CHARACTERS: Final = 200

# Of an operation that reached the server: what passes by itself or is mended at the server, without a change here.
_PASSING_CODES: Final = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        13,  # Unauthorized
        18,  # AuthenticationFailed
        39,  # FileStreamFailed
        50,  # MaxTimeMSExpired
        64,  # WriteConcernFailed
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        100,  # CannotSatisfyWriteConcern
        112,  # WriteConflict
        189,  # PrimarySteppedDown
        262,  # ExceededTimeLimit
        8000,  # an error of the hosting service, wrong credentials for one
        9001,  # SocketException
        10058,  # LegacyNotPrimary
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        14031,  # OutOfDiskSpace
    }
)


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to connect. What the URL says itself goes before it.

    Attributes:
        url: ``mongodb://…`` or ``mongodb+srv://…``.
        database: name of the database when the URL has none.
        timeout_ms: bound on every call: the search for a server, a free connection, the answer and retries together.
        min_pool_size: connections kept open.
        max_pool_size: connections at most.
    """

    url: str
    database: str
    timeout_ms: int
    min_pool_size: int
    max_pool_size: int

    @property
    def database_name(self) -> str:
        """The database: the last part of the URL's path, or the default."""
        return unquote(urlsplit(self.url).path.strip("/")) or self.database

    def driver_options(self) -> dict[str, Any]:
        """Return the driver's options, without those that the URL sets."""
        options: dict[str, Any] = {
            "appName": "petrosa-data-manager",
            "timeoutMS": self.timeout_ms,
            "connectTimeoutMS": self.timeout_ms,  # bounds the driver's own watch over the servers
            "minPoolSize": self.min_pool_size,
            "maxPoolSize": self.max_pool_size,
            "retryReads": True,
            "retryWrites": True,
            # What was acknowledged survives the loss of any one machine.
            "w": "majority",
            "journal": True,
        }
        given = {name.lower() for name, _ in parse_qsl(urlsplit(self.url).query, keep_blank_values=True)}
        return {name: value for name, value in options.items() if name.lower() not in given}


class Connection:
    """A database of a server, connected on first use.

    Raises:
        ConfigurationError: the URL or one of its options is not what the driver takes.
    """

    def __init__(self, options: ConnectionOptions) -> None:
        self._client = _client(options)
        codecs: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
        self.database: AsyncDatabase[Document] = self._client.get_database(options.database_name, codec_options=codecs)

    def collection(self, name: str) -> Collection:
        """Return a collection, which need not exist."""
        return self.database[name]

    async def collection_names(self) -> list[str]:
        """Return the names of all collections, sorted."""
        with faults():
            return sorted(await self.database.list_collection_names())

    async def ping(self, *, write: bool) -> None:
        """Ask the server; with ``write``, whether it takes writes, which a secondary or a full disk does not."""
        with faults():
            await self.database.command("ping")
            if write:
                await self.collection("probes").replace_one({"_id": "probe"}, {"_id": "probe"}, upsert=True)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def _client(options: ConnectionOptions) -> AsyncMongoClient[Document]:
    """Make the client. What is said of the address does not show it, because it may hold a password."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # the driver would go on without an option that it cannot read
            return AsyncMongoClient(options.url, **options.driver_options())
    except UserWarning as warning:
        raise ConfigurationError(f"MONGODB_URL had an option that was not usable: {warning}") from None
    except (errors.InvalidURI, errors.ConfigurationError, ValueError):
        raise ConfigurationError(f"MONGODB_URL was not usable: expected {_FORM}") from None


@contextmanager
def faults() -> Iterator[None]:
    """Turn the driver's errors that may pass into ``StoreUnavailable``; bugs stay what they are.

    Raises:
        StoreUnavailable: the server could not be reached, did not answer in time, or could not do its work.
    """
    try:
        yield
    except PyMongoError as error:
        if not _may_pass(error):
            raise
        raise StoreUnavailable(f"MongoDB was not available: {_described(error)}") from error


def duplicates(error: BulkWriteError) -> list[int]:
    """Return the positions in a bulk write that were refused because their key exists.

    Raises:
        BulkWriteError: something else went wrong as well; ``faults`` knows whether that may pass.
    """
    refused = error.details["writeErrors"]
    if error.details["writeConcernErrors"] or any(item["code"] != _DUPLICATE_KEY for item in refused):
        raise error
    return [item["index"] for item in refused]


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all calls, also when one fails, and raise the first failure; nothing goes on behind the caller."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _may_pass(error: PyMongoError) -> bool:
    if error.timeout or isinstance(error, (errors.ConnectionFailure, errors.WriteConcernError)):
        return True
    if isinstance(error, BulkWriteError):
        items = [item for item in error.details["writeErrors"] if item["code"] != _DUPLICATE_KEY]
        return all(item["code"] in _PASSING_CODES for item in items)
    return isinstance(error, OperationFailure) and error.code in _PASSING_CODES


def _described(error: PyMongoError) -> str:
    # The driver adds its whole view of the servers, which belongs into no answer.
    text = str(error).partition(", Topology Description")[0].partition(", full error")[0]
    return shortened(text, _DETAIL_CHARACTERS)
