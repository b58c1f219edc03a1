"""Attempts at jobs say of each backend why it did not answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.add_column("job_attempts", sa.Column("reasons", sa.Text, server_default="", nullable=False))
