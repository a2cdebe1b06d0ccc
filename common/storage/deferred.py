"""The metadata store for functions that must start quickly: its SQL library loads when the store is first used.

That library takes half as long as everything else that such a function loads. Whether the store answers can be told
without it where the store is a file of the present format; anywhere else the store is opened to be asked.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from common.settings import Settings
from common.storage.open import open_metadata_store
from common.storage.ports import MetadataStore


async def _unknown() -> bool:
    return False


class DeferredMetadata:
    """The metadata store, opened when it is first asked for.

    Args:
        opener: opens the store.
        answers: tells of a store that is not open whether it is there and could be opened as it is; by default that
            is never known.
    """

    def __init__(
        self, opener: Callable[[], Awaitable[MetadataStore]], answers: Callable[[], Awaitable[bool]] = _unknown
    ) -> None:
        self._opener = opener
        self._answers = answers
        self._store: MetadataStore | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> MetadataStore:
        """Return the store."""
        async with self._opening:
            if self._store is None:
                self._store = await self._opener()
            return self._store

    async def prepare(self) -> None:
        """Open the store now, unless it is seen to answer: what keeps a process from starting shows at its start.

        Raises:
            ConfigurationError: the store can never be used as it is.
        """
        if not await self._answers():
            await self.open()

    async def ping(self) -> None:
        """Really ask the store.

        Raises:
            StoreUnavailable: it does not answer.
        """
        if self._store is None and await self._answers():
            return
        await (await self.open()).ping()

    async def close(self) -> None:
        """Release the store if it was opened."""
        if self._store is not None:
            await self._store.close()


async def defer_metadata_store(settings: Settings) -> DeferredMetadata:
    """Return the store that the settings choose, opened already unless it is a file that answers.

    Raises:
        ConfigurationError: the settings name a server that can never be used as they are.
    """
    deferred = DeferredMetadata(partial(open_metadata_store, settings), partial(_file_answers, settings))
    await deferred.prepare()
    return deferred


async def _file_answers(settings: Settings) -> bool:
    if settings.mysql_url is not None:
        return False
    from common.storage.sql_metadata.file_format import answers

    return await asyncio.to_thread(answers, settings.petrosa_data_dir, timeout_s=settings.store_busy_timeout_ms / 1000)
