"""Row-level security on Postgres: a session sees its tenant's rows, or, as the operator, all. Nothing on SQLite.

Roles are not for logging in. Whoever logs in takes one of them for each transaction (storage/sessions.py), and without one
sees nothing, the tables' owner included.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TENANT = "NULLIF(current_setting('junto.tenant', true), '')"
_OF_TENANTS = {
    "exchanges": "tenant",
    "exchange_bodies": "tenant",
    "clients": "tenant_id",
    "api_keys": "tenant_id",
    "budgets": "tenant_id",
    "reservations": "tenant_id",
    "ledger": "tenant_id",
    "jobs": "tenant_id",
    "job_attempts": "tenant_id",
    "idempotency": "tenant_id",
    "outbox": "tenant_id",
    "triage_decisions": "tenant_id",
}
_OF_THE_OPERATOR = ("route_versions", "prompt_versions", "tenants", "versions", "schema_version", "alembic_version")


def upgrade() -> None:
    """Take the step."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for role in ("junto_app", "junto_operator"):
        _make_role(role)
        # The schema that the tables are in: public, unless the login's search_path says otherwise.
        op.execute(f"DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema()); END $$")
    # Batches of exchanges go through a temporary table; everybody may make one unless an administrator has taken that away.
    op.execute(
        "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO junto_operator', current_database()); "
        "EXCEPTION WHEN insufficient_privilege THEN NULL; END $$"
    )
    for table, column in _OF_TENANTS.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        # Not `TO junto_app`: that would hold for each login that is a member of the role, too.
        own = f"current_user = 'junto_app' AND {column} = {_TENANT}"
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({own}) WITH CHECK ({own})")
        every = "current_user = 'junto_operator'"
        op.execute(f"CREATE POLICY operator ON {table} USING ({every}) WITH CHECK ({every})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO junto_app, junto_operator")
    for table in _OF_THE_OPERATOR:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO junto_operator")
    op.execute(
        "GRANT SELECT, INSERT, UPDATE ON versions TO junto_app"
    )  # what a tenant changes, other nodes must hear of


def _make_role(role: str) -> None:
    """Roles belong to the whole server: an administrator or another database of it may have made them, or is just making them."""
    op.execute(
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} NOLOGIN; END IF; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    # Since Postgres 16 who makes a role may give it away, and has to give it to himself to take it on. Somebody else's role may
    # have been given to this login already.
    op.execute(
        f"DO $$ BEGIN GRANT {role} TO CURRENT_USER; EXCEPTION WHEN insufficient_privilege THEN "
        f"IF NOT pg_has_role(current_user, '{role}', 'MEMBER') THEN RAISE; END IF; END $$"
    )
