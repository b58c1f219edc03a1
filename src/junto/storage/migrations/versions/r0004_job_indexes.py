"""Indexes of jobs: one that has the order of claims in it, and one for each look by a job's id or end that went through a table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BY_JOB = ("idempotency", "outbox", "triage_decisions")


def upgrade() -> None:
    """Take the step."""
    for table in _BY_JOB:
        op.create_index(f"ix_{table}_job", table, ["tenant_id", "job_id"], unique=False)
    is_over = sa.text("finished_ms IS NOT NULL")
    op.create_index(
        "ix_jobs_finished", "jobs", ["finished_ms"], unique=False, sqlite_where=is_over, postgresql_where=is_over
    )
    op.create_index("ix_jobs_next", "jobs", ["status", sa.text("priority DESC"), "served_order", "id"], unique=False)
    op.drop_index("ix_jobs_claim", "jobs")  # both priority and order upwards: of no use where one of them goes down
