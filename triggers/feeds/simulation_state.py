"""What a simulation leaves in its state folder: how far it came, for itself and for whoever watches it.

``simulation.json`` is its own memory: which market it publishes and until when that is in the stream. ``feed.json``
tells others how far this run came; it may be removed at any time.
"""

from pathlib import Path
from typing import Final, Literal

import msgspec

from common.errors import StateMismatch

Phase = Literal["history", "live"]


class Position(msgspec.Struct, frozen=True):
    """A simulation's memory.

    Attributes:
        seed: of its market.
        market: ``um`` or ``spot``.
        until_ms: by pair, until when everything is published and acknowledged.
    """

    seed: int
    market: str
    until_ms: dict[str, int] = {}


class Progress(msgspec.Struct, frozen=True):
    """How far this run came.

    Attributes:
        phase: ``history`` until what lies in the past is acknowledged, then ``live``.
        published: messages published by this run.
        total: messages of the history.
        published_until_ms: until when everything is published and acknowledged.
    """

    phase: Phase
    published: int
    total: int
    published_until_ms: int


class SimulationState:
    """The two files of a state folder; each is replaced as a whole, so a reader never sees half of one."""

    POSITION: Final = "simulation.json"
    PROGRESS: Final = "feed.json"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, seed: int, market: str) -> Position:
        """Return the position of the simulation of this seed and market; a new one when there was none.

        Raises:
            StateMismatch: the folder is that of another simulated market.
        """
        try:
            position = msgspec.json.decode((self._folder / self.POSITION).read_bytes(), type=Position)
        except (OSError, msgspec.MsgspecError):
            return Position(seed, market)
        if (position.seed, position.market) != (seed, market):
            raise StateMismatch(
                f"{self._folder} holds the simulated market {position.market} of seed {position.seed}, wanted was "
                f"{market} of seed {seed}: choose another folder (--state), or --seed {position.seed}"
            )
        return position

    def save(self, position: Position) -> None:
        """Keep the position."""
        self._replace(self.POSITION, position)

    def show(self, progress: Progress) -> None:
        """Tell others how far this run came."""
        self._replace(self.PROGRESS, progress)

    def _replace(self, name: str, content: msgspec.Struct) -> None:
        part = self._folder / f".{name}.part"
        part.write_bytes(msgspec.json.encode(content))
        part.replace(self._folder / name)
