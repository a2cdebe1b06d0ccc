"""Whether a server that cannot be had fails the tests."""

import os
from typing import Final

# "required" makes a missing server a failure instead of a skipped test.
REQUIRED_VARIABLE: Final = "PETROSA_TEST_SERVERS"


def servers_required() -> bool:
    """Tell whether a server that cannot be had is a failure.

    Raises:
        ValueError: the variable holds something else than ``required`` or nothing.
    """
    wanted = os.environ.get(REQUIRED_VARIABLE, "")
    if wanted not in {"", "required"}:
        raise ValueError(f"{REQUIRED_VARIABLE} was {wanted!r}: set it to 'required' or leave it away")
    return wanted == "required"
