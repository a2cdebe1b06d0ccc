"""What the planner works with."""

from dataclasses import dataclass

from common.host import Context
from common.storage.deferred import DeferredMetadata
from functions.planner.planning import Planner


@dataclass(frozen=True, slots=True)
class Resources:
    """The surroundings, and the store of the watermarks, which opens with the first tick."""

    context: Context
    metadata: DeferredMetadata

    async def ready(self) -> None:
        """Ask the store."""
        await self.metadata.ping()

    async def planner(self) -> Planner:
        """Return the planner."""
        return Planner(await self.metadata.open(), self.context.sink, self.context.clock, self.context.settings)
