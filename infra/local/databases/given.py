"""The database servers that the user gives by address: checked as the parts will use them, shown without accounts."""

from typing import Final, Protocol
from urllib.parse import quote, urlsplit

from common.errors import ConfigurationError, StoreUnavailable
from common.settings import Settings

_MYSQL_PORT: Final = 3306


class _Store(Protocol):
    async def ping(self) -> None: ...

    async def close(self) -> None: ...


async def check_mongodb(settings: Settings) -> str:
    """Ask the server of ``MONGODB_URL`` or ``MONGODB_HOST``, and return its description.

    Raises:
        ConfigurationError: the address is not usable, or no server answers there.
    """
    from common.storage.mongodb import opening

    url = settings.mongodb_address or ""
    store = opening.open_market(settings, url)
    variable, place = "MONGODB_URL" if settings.mongodb_url else "MONGODB_HOST", _host(url)
    await _check(store, variable, f"MongoDB server answers at {place}")
    return f"MongoDB at {place} ({variable})"


async def check_mysql(settings: Settings) -> str:
    """Ask the server of ``MYSQL_URI`` or ``MYSQL_HOST``, and return its description.

    Raises:
        ConfigurationError: the address is not usable, or no server answers there.
    """
    from sqlalchemy import make_url

    from common.storage.sql_metadata.mysql import open_mysql

    store = open_mysql(settings)
    url = make_url(settings.mysql_url or "")
    variable, place = "MYSQL_URI" if settings.mysql_uri else "MYSQL_HOST", f"{url.host}:{url.port or _MYSQL_PORT}"
    await _check(store, variable, f"MySQL server answers at {place}")
    return f"MySQL at {place} ({variable})"


def mongodb_without_account(settings: Settings) -> str:
    """Return the address of the given MongoDB with its database, but without account and options."""
    address = urlsplit(settings.mongodb_address or "")
    database = address.path.strip("/") or quote(settings.mongodb_db, safe="")
    return f"{address.scheme}://{_host(address.geturl())}/{database}"


async def _check(store: _Store, variable: str, wanted: str) -> None:
    try:
        await store.ping()
    except StoreUnavailable as error:
        raise ConfigurationError(
            f"{variable}: no usable {wanted} ({error}). Start that server, correct {variable}, or leave it "
            "away and choose with STORES: `servers` starts one, `embedded` uses files"
        ) from error
    finally:
        await store.close()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
