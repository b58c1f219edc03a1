"""What a database keeps about itself: first of all the name of the secret that its bodies are encrypted under, where they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MARK = "+aesgcm:"
_UNFINISHED = (
    "SELECT request_codec FROM jobs WHERE status IN ('pending', 'running') AND request_codec LIKE '%+aesgcm:%' LIMIT 1"
)
# The latest only: a table may be large, and what an older secret may have sealed is history.
_STORED = (
    "SELECT codec FROM (SELECT codec FROM exchange_bodies ORDER BY id DESC LIMIT 1000) AS latest"
    " WHERE codec LIKE '%+aesgcm:%' LIMIT 1"
)


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "markers",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_markers"),
    )
    connection = op.get_bind()
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:
        op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON markers TO junto_operator")
        op.execute("SET LOCAL ROLE junto_operator")  # whoever owns the tables sees no row of a tenant
    codec = connection.scalar(sa.text(_UNFINISHED)) or connection.scalar(sa.text(_STORED))
    if codec is not None:
        keep = sa.text("INSERT INTO markers (name, value, since_ms) VALUES ('secrets_key', :name, 0)")
        connection.execute(keep, {"name": codec.partition(_MARK)[2]})
    if is_postgres:
        op.execute("SET LOCAL ROLE NONE")
