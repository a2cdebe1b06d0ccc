"""What the answers of the route groups share: their base, the pagination block, how errors look, and for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from common.errors import NotFound


class Answer(BaseModel):
    """Body of an answer, or a part of it: these keys and no others."""

    model_config = ConfigDict(extra="forbid")


class Failure(Answer):
    """Why there is no answer."""

    detail: str


class FieldAtFault(Answer):
    """A parameter or a field of the body that is not what was expected."""

    type: str
    loc: list[str | int] = Field(description="Where it stands (`path`, `query` or `body`), and its name.")
    msg: str
    input: Any = Field(description="What was given; null when nothing was, or when it was no plain value.")


class Refusal(Answer):
    """What is wrong with a request, all of it."""

    detail: list[FieldAtFault]


class Pagination(Answer):
    """Which part of the matching rows an answer holds."""

    total: int = Field(description="Rows that match, over all pages.")
    limit: int = Field(description="Rows of a page, at most.")
    offset: int = Field(description="Rows before this page.")
    page: int = Field(description="Number of this page, from 1.")
    pages: int = Field(description="Pages of this size.")
    has_next: bool = Field(description="Whether rows follow.")
    has_previous: bool = Field(description="Whether rows were skipped.")


def pagination(total: int, *, limit: int, offset: int) -> dict[str, object]:
    """Return the pagination block of an answer.

    Args:
        total: rows that match, over all pages.
        limit: rows of a page.
        offset: rows before this page.
    """
    return {
        "total": total,
        "limit": limit,
        "offset": offset,
        "page": offset // limit + 1,
        "pages": -(-total // limit),
        "has_next": offset + limit < total,
        "has_previous": offset > 0,
    }


@dataclass(frozen=True, slots=True)
class Compat:
    """What is answered otherwise for programs that know an earlier API.

    Attributes:
        programs: ``PETROSA_COMPAT``; ``petrosa-clients`` are those around the original data manager.
    """

    programs: str | None = None

    def listed(self, values: Sequence[object]) -> dict[str, object]:
        """Return the rows of a list answer: as ``values``, for those programs as ``data`` too."""
        return {"values": values, "data": values} if self.programs else {"values": values}

    def missing(
        self, message: str, *, subject: Mapping[str, object], metadata: Mapping[str, object]
    ) -> dict[str, object]:
        """Return the answer about a document that does not exist (yet): for those programs, null.

        Args:
            message: what there is not.
            subject: what the answer would be about.
            metadata: what can be said of the document all the same.

        Raises:
            NotFound: for everybody else.
        """
        if not self.programs:
            raise NotFound(message)
        return {**subject, "data": None, "metadata": {**metadata, "message": message}, "message": message}
