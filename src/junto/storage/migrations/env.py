"""What Alembic runs to migrate: on the connection that storage/schema.py hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from junto.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
