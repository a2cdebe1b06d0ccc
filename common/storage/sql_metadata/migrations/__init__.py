"""Versions of the metadata tables on MySQL, applied by Alembic when a store is opened.

A new version is a module in ``versions`` whose ``revision`` becomes ``HEAD``, together with the same change of the
tables that the store uses; a test compares the two. MySQL commits every change of a table at once, so a version must
be able to run again after it was cut off in the middle. Versions that were released are never changed.
"""

from typing import Final

# The newest version; known here, so that a start with current tables need not load Alembic.
HEAD: Final = "1"

# A name of its own: the database may be shared with other programs that use Alembic.
VERSION_TABLE: Final = "petrosa_metadata_version"
