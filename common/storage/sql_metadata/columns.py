"""Column types of the metadata tables: instants and scores, the same values out as in on every database."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import DateTime, Dialect, Numeric, String
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from common.models.metadata import JobStatus

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the column holds UTC without a zone
_CENT: Final = Decimal("0.01")
_MILLISECOND: Final = timedelta(milliseconds=1)


class Instant(TypeDecorator[int]):
    """Milliseconds since the epoch, kept as the database's own date and time in UTC with milliseconds."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Ask MySQL for milliseconds, which it drops by default."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=3))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn milliseconds into a date."""
        return None if value is None else _EPOCH + timedelta(milliseconds=value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn a date into milliseconds."""
        return None if value is None else (value.replace(tzinfo=None) - _EPOCH) // _MILLISECOND


class Score(TypeDecorator[Decimal]):
    """A number from 0 to 100 with two decimals: DECIMAL(5,2), or its text where the database has no decimals."""

    impl = Numeric(5, 2)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep texts in SQLite, whose numbers are binary."""
        return dialect.type_descriptor(String(6) if dialect.name == "sqlite" else Numeric(5, 2))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | str | None:
        """Round to two decimals."""
        if value is None:
            return None
        rounded = value.quantize(_CENT)
        return str(rounded) if dialect.name == "sqlite" else rounded

    def process_result_value(self, value: Decimal | str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Read both forms."""
        return None if value is None else Decimal(value)


class Status(TypeDecorator[JobStatus]):
    """The state of a job as its word."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: JobStatus | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Write the word."""
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> JobStatus | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Read the word."""
        return None if value is None else JobStatus(value)
