"""What is said when a server cannot be had, and whether that fails the tests."""

import os
from typing import Final

# "required" makes a missing server a failure instead of a skipped test.
REQUIRED_VARIABLE: Final = "PETROSA_TEST_SERVERS"


class ServerMissing(Exception):
    """A server cannot be had here; the text names the reason and the missing step."""


def servers_required() -> bool:
    """Tell whether a server that cannot be had is a failure.

    Raises:
        ValueError: the variable holds something else than ``required`` or nothing.
    """
    wanted = os.environ.get(REQUIRED_VARIABLE, "")
    if wanted not in {"", "required"}:
        raise ValueError(f"{REQUIRED_VARIABLE} was {wanted!r}: set it to 'required' or leave it away")
    return wanted == "required"
