"""The tree of errors that the module draws is the one that its classes make."""

import inspect
import re

from common import errors
from common.errors import PetrosaError

DRAWN = re.compile(r"^    ([│ ├└─]*)(\w+) +(\d{3})\b", re.MULTILINE)


def branch(kind: type[PetrosaError], depth: int = 0) -> list[tuple[int, str, int]]:
    """Return depth, name and status of a class and of all below it that the module defines, as they are written."""
    here = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    here.sort(key=lambda each: inspect.getsourcelines(each)[1])
    return [(depth, kind.__name__, kind.status), *(line for each in here for line in branch(each, depth + 1))]


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = [(len(lines) // 4, name, int(status)) for lines, name, status in DRAWN.findall(errors.__doc__ or "")]
    assert drawn == branch(PetrosaError)
