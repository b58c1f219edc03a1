"""A ledger entry is final, by the database's own word: on Postgres no role of Junto's may change or delete one, on SQLite nobody may.

Whoever has to (a tenant that is erased by law) does it as an administrator: with the right granted for as long as it takes, or the
triggers dropped.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("REVOKE UPDATE, DELETE ON ledger FROM junto_app, junto_operator")
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER ledger_no_{change.lower()} BEFORE {change} ON ledger"
            " BEGIN SELECT RAISE(ABORT, 'ledger entries are final'); END"
        )
