"""Jobs have turns, which their clients' lines decide who takes: a column for them, and an index for each of the two orders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    # A node of the version before gives no turn: its jobs go first, for as long as the upgrade takes.
    op.add_column("jobs", sa.Column("turn", sa.BigInteger, server_default="0", nullable=False))
    is_postgres = op.get_bind().dialect.name == "postgresql"
    if is_postgres:
        op.execute("SET LOCAL ROLE junto_operator")  # whoever owns the tables sees no row of a tenant
    op.execute("UPDATE jobs SET turn = served_order WHERE status IN ('pending', 'running')")
    if is_postgres:
        op.execute("SET LOCAL ROLE NONE")
    waits = sa.text("finished_ms IS NULL AND lease_ms IS NULL")
    line: list[str | sa.TextClause] = ["tenant_id", "client_id", sa.text("priority DESC"), "id", "turn"]
    op.create_index("ix_jobs_turn", "jobs", ["turn", "id"], sqlite_where=waits, postgresql_where=waits)
    op.create_index("ix_jobs_line", "jobs", line, sqlite_where=waits, postgresql_where=waits)
    op.drop_index("ix_jobs_next", "jobs")  # priority before the clients' shares
