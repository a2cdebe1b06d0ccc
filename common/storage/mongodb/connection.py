"""The connection to a MongoDB server or replica set: a pool, bounds on every wait, and which errors are its faults.

Nothing here needs a replica set. The driver reconnects by itself; a call fails with ``StoreUnavailable`` after a
bounded wait, and whoever sent the data sends it again.
"""

import asyncio
import functools
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import AsyncMongoClient, ReadPreference, errors
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from common.errors import ConfigurationError, StoreUnavailable, shortened
from common.storage.mongodb.documents import Document

T = TypeVar("T")
P = ParamSpec("P")
Collection = AsyncCollection[Document]

_FORM: Final = "mongodb://user:password@host:port/database, special characters of the password percent-encoded"
_DUPLICATE_KEY: Final = 11000
_ID_ONLY: Final = {"_id": 1}
_DETAIL_CHARACTERS: Final = 200

# Of an operation that reached the server: what passes by itself or is mended at the server, without a change here.
_PASSING_CODES: Final = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        13,  # Unauthorized
        18,  # AuthenticationFailed
        24,  # LockTimeout
        39,  # FileStreamFailed
        43,  # CursorNotFound: the server was started again
        50,  # MaxTimeMSExpired
        64,  # WriteConcernFailed
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        100,  # UnsatisfiableWriteConcern
        112,  # WriteConflict
        133,  # FailedToSatisfyReadPreference
        134,  # ReadConcernMajorityNotAvailableYet
        175,  # QueryPlanKilled
        189,  # PrimarySteppedDown
        202,  # NetworkInterfaceExceededTimeLimit
        237,  # CursorKilled
        246,  # SnapshotUnavailable
        262,  # ExceededTimeLimit
        276,  # IndexBuildAborted
        365,  # TemporarilyUnavailable
        462,  # IngressRequestRateLimitExceeded
        8000,  # an error of the hosting service, wrong credentials for one
        9001,  # SocketException
        10058,  # LegacyNotPrimary
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11601,  # Interrupted
        11602,  # InterruptedDueToReplStateChange
        12587,  # BackgroundOperationInProgress
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        14031,  # OutOfDiskSpace
    }
)
# The name service that lists the servers of ``mongodb+srv://`` is asked on first use; its silence is a configuration
# error to the driver.
_PASSING_TYPES: Final = (errors.ConnectionFailure, errors.WriteConcernError, errors.ConfigurationError)
_RETRYABLE: Final = "RetryableWriteError"  # the server's own word for: try again


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

    @property
    def given(self) -> dict[str, str]:
        """The options that the URL sets, their names in lower case."""
        pairs = parse_qsl(urlsplit(self.url).query, keep_blank_values=True)
        return {name.lower(): value for name, value in pairs}

    def driver_options(self) -> dict[str, Any]:
        """Return the driver's options, without those that the URL sets."""
        options: dict[str, Any] = {
            "appName": "petrosa-data-manager",
            "timeoutMS": self.timeout_ms,
            "connectTimeoutMS": self.timeout_ms,  # bounds the driver's own watch over the servers
            "serverSelectionTimeoutMS": self.timeout_ms,  # for what ``timeoutMS`` is lifted from
            "minPoolSize": self.min_pool_size,
            "maxPoolSize": self.max_pool_size,
            "retryReads": True,
            "retryWrites": True,
            # What was acknowledged survives the loss of any one machine.
            "w": "majority",
            "journal": True,
        }
        return {name: value for name, value in options.items() if name.lower() not in self.given}


class _OnConnection(Protocol):
    @property
    def connection(self) -> "Connection":
        """The database."""
        ...


Bounded = TypeVar("Bounded", bound=_OnConnection)


class Connection:
    """A database of a server, connected on first use.

    Raises:
        ConfigurationError: the URL or one of its options is not what the driver takes.
    """

    def __init__(self, options: ConnectionOptions) -> None:
        self._client = _client(options)
        codecs: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
        try:
            database = self._client.get_database(options.database_name, codec_options=codecs)
        except errors.InvalidName as error:
            raise ConfigurationError(f"MONGODB_URL: {options.database_name!r} was no name of a database") from error
        self.database: AsyncDatabase[Document] = database

    @property
    def timeout_ms(self) -> float | None:
        """Bound on every call, or None when the URL lifts it."""
        timeout_s = self._client.options.timeout
        return timeout_s * 1000 if timeout_s else None

    def bounded(self) -> AbstractContextManager[None]:
        """Bound everything in a ``with`` block together, however many commands and tasks it takes."""
        return pymongo.timeout(self._client.options.timeout)

    def collection(self, name: str) -> Collection:
        """Return a collection, which need not exist."""
        return self.database[name]

    def primary_collection(self, name: str) -> Collection:
        """Return a collection that is read where it is written, wherever else the URL lets the others be read."""
        return self.database.get_collection(name, read_preference=ReadPreference.PRIMARY)

    @property
    def reads_lag(self) -> bool:
        """Whether reads may see an older state than the last write."""
        return self.database.read_preference != ReadPreference.PRIMARY

    async def collection_names(self) -> list[str]:
        """Return the names of all collections, sorted."""
        with faults():
            return sorted(await self.database.list_collection_names())

    async def ping(self, *, write: bool) -> None:
        """Ask the server; with ``write``, whether it takes writes, which a secondary or a full disk does not."""
        with faults():
            await self.database.command("ping")
            if write:
                with suppress(errors.DuplicateKeyError):  # another process was writing its probe
                    await self.collection("probes").update_one(
                        {"_id": "probe"}, {"$currentDate": {"written_at": True}}, upsert=True
                    )

    async def close(self) -> None:
        """Close all connections."""
        with self.bounded():  # ending sessions at a server that is away would take half a minute
            await self._client.close()


def bounded(
    method: Callable[Concatenate[Bounded, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Bounded, P], Coroutine[Any, Any, T]]:
    """Let a store's method take no longer than ``MONGODB_TIMEOUT_MS``, all its commands together."""

    @functools.wraps(method)
    async def call(store: Bounded, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with store.connection.bounded():
            return await method(store, *args, **kwargs)

    return call


def _client(options: ConnectionOptions) -> AsyncMongoClient[Document]:
    """Make the client. What is said of the address does not show it, because it may hold a password."""
    if options.min_pool_size > options.max_pool_size:
        raise ConfigurationError("MONGODB_MIN_POOL_SIZE was larger than MONGODB_MAX_POOL_SIZE")
    if options.given.get("w") == "0":
        raise ConfigurationError("MONGODB_URL: w=0 would acknowledge what may be lost: leave it out, or choose w=1")
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
    if error.details["writeConcernErrors"] or not all(map(_is_known_id, refused)):
        raise error
    return [item["index"] for item in refused]


def _is_known_id(item: Mapping[str, Any]) -> bool:
    """Tell whether a document was refused for its id, and not for a unique index that somebody else made."""
    return bool(item["code"] == _DUPLICATE_KEY and item.get("keyPattern", _ID_ONLY) == _ID_ONLY)


async def refused(call: Awaitable[object]) -> list[int]:
    """Wait for a bulk write and return the positions that were refused because their key exists."""
    with faults():
        try:
            await call
        except BulkWriteError as error:
            return duplicates(error)
    return []


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all calls, also when one fails, and raise the first failure; nothing goes on behind the caller."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _may_pass(error: PyMongoError) -> bool:
    if error.timeout or error.has_error_label(_RETRYABLE) or isinstance(error, _PASSING_TYPES):
        return True
    if isinstance(error, BulkWriteError):
        items = [item for item in error.details["writeErrors"] if not _is_known_id(item)]
        return all(item["code"] in _PASSING_CODES for item in items)
    return isinstance(error, OperationFailure) and error.code in _PASSING_CODES


def _described(error: PyMongoError) -> str:
    # The driver adds its whole view of the servers, which belongs into no answer.
    text = str(error).partition(", Topology Description")[0].partition(", full error")[0]
    return shortened(text, _DETAIL_CHARACTERS)
