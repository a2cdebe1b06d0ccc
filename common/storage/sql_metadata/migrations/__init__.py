"""Versions of the metadata tables, one list for both kinds of database, applied when a store is opened.

A new version is a module in ``versions`` whose ``revision``, the next number, becomes ``HEAD``, together with the same
change of the tables that the store uses; tests compare the two. On a server Alembic applies and remembers the
versions; MySQL commits every change of a table at once, so a version must be able to run again after it was cut off in
the middle. In a file each version is one transaction with the number of the format. Versions that were released are
never changed.
"""

from typing import Final

from common.errors import ConfigurationError

# The newest version; known here, so that a start with current tables need not load Alembic.
HEAD: Final = "1"

# A name of its own: the database may be shared with other programs that use Alembic.
VERSION_TABLE: Final = "petrosa_metadata_version"


def refuse_newer(version: int, what: str, way_out: str) -> None:
    """Refuse tables that a newer program made: this one does not know what their columns mean.

    Raises:
        ConfigurationError: they are newer.
    """
    if version > int(HEAD):
        raise ConfigurationError(
            f"{what} had format {version}, this program knows {HEAD}: use the newer program, or {way_out}"
        )
