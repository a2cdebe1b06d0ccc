"""What Alembic runs: applies the versions on the connection that it was given."""

from alembic import context

from common.storage.sql_metadata.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
