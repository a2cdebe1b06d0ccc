"""How long tests wait for what must happen. It bounds what hangs and measures nothing: speed is the bench's matter."""

from typing import Final

# Far longer than any single step takes, also on a machine whose processors are busy with something else.
PATIENCE_S: Final = 120.0
