"""The store's revision, asked for once for all requests that have arrived together."""

import asyncio

from common.storage.ports import MarketStore


class SharedRevision:
    """Asks the store for its revision, at most once in one turn of the event loop where the store answers at once.

    That is as good as asking for each request: whatever is served in a turn had arrived before the turn began, so a
    revision read in it holds every write that a client can have known of when it asked.
    """

    def __init__(self, store: MarketStore) -> None:
        self._store = store
        self._turn = 0
        self._asked_in_turn = -1
        self._revision: object | None = None

    async def current(self) -> object | None:
        """Return the revision, or nothing when the store has none.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        turn = self._turn
        if self._asked_in_turn == turn:
            return self._revision
        asyncio.get_running_loop().call_soon(self._end_turn)
        revision = await self._store.revision()
        self._asked_in_turn, self._revision = turn, revision
        return revision

    def _end_turn(self) -> None:
        self._turn += 1
