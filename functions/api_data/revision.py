"""Revisions of series, asked for once for all requests that have arrived together."""

import asyncio
from typing import Final

from common.models.families import Series
from common.storage.ports import MarketStore

_MAX_SERIES: Final = 1000


class SharedRevisions:
    """Asks the store for the revision of a series, at most once in one turn of the event loop.

    That is as good as asking for each request: whatever is served in a turn had arrived before the turn began, so a
    revision read in it holds every write that a client can have known of when it asked.
    """

    def __init__(self, store: MarketStore) -> None:
        self._store = store
        self._turn = 0
        self._ending_turn = -1
        self._asked: dict[Series, tuple[int, object | None]] = {}

    async def current(self, series: Series) -> object | None:
        """Return the revision of a series, or None when the store has none.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        turn = self._turn
        asked = self._asked.get(series)
        if asked is not None and asked[0] == turn:
            return asked[1]
        if self._ending_turn != turn:
            self._ending_turn = turn
            asyncio.get_running_loop().call_soon(self._end_turn)
        revision = await self._store.revision(series)
        if len(self._asked) >= _MAX_SERIES:
            self._asked.clear()
        self._asked[series] = (turn, revision)
        return revision

    def _end_turn(self) -> None:
        self._turn += 1
