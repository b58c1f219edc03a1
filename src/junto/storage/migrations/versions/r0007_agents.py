"""Agents with their conversations, and council templates of an administrator's own. On Postgres with row-level security as r0003's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OF_TENANTS = ("agents", "conversations", "conversation_turns", "agent_inbox")


def upgrade() -> None:
    """Take the step."""
    _agents()
    _conversations()
    _inbox()
    _councils()
    if op.get_bind().dialect.name == "postgresql":
        _row_security()


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("persona", sa.Text, nullable=False),
        sa.Column("instructions", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("sensitivity", sa.Text, nullable=False),
        sa.Column("tools", sa.Integer, nullable=False),
        sa.Column("channels", sa.Text, nullable=False),
        sa.Column("retention_days", sa.BigInteger, nullable=True),
        sa.Column("enabled", sa.Integer, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_agents_tenant_id_tenants"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_agents"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_agents_tenant_id_name"),
    )


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("thread", sa.Text, nullable=False),
        sa.Column("turns", sa.BigInteger, nullable=False),
        sa.Column("summary_codec", sa.Text, nullable=False),
        sa.Column("summary", sa.LargeBinary, nullable=True),
        sa.Column("summary_upto", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "agent_id"],
            ["agents.tenant_id", "agents.id"],
            name="fk_conversations_tenant_id_agent_id_agents",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_conversations"),
        sa.UniqueConstraint(
            "tenant_id", "agent_id", "channel", "thread", name="uq_conversations_tenant_id_agent_id_channel_thread"
        ),
    )
    op.create_index("ix_conversations_agent", "conversations", ["tenant_id", "agent_id", "id"], unique=False)
    op.create_index("ix_conversations_age", "conversations", ["tenant_id", "agent_id", "updated_ms"], unique=False)
    op.create_table(
        "conversation_turns",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("fallback", sa.Integer, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=True),
        sa.Column("sent_ms", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "conversation_id"],
            ["conversations.tenant_id", "conversations.id"],
            name="fk_conversation_turns_tenant_id_conversation_id_conversations",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "conversation_id", "number", name="pk_conversation_turns"),
    )


def _inbox() -> None:
    op.create_table(
        "agent_inbox",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("reply", sa.BigInteger, nullable=True),
        sa.Column("answered_ms", sa.BigInteger, nullable=True),
        sa.Column("delivered_ms", sa.BigInteger, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "conversation_id"],
            ["conversations.tenant_id", "conversations.id"],
            name="fk_agent_inbox_tenant_id_conversation_id_conversations",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_agent_inbox"),
        sa.UniqueConstraint(
            "tenant_id",
            "agent_id",
            "channel",
            "message_id",
            name="uq_agent_inbox_tenant_id_agent_id_channel_message_id",
        ),
    )
    op.create_index("ix_agent_inbox_conversation", "agent_inbox", ["tenant_id", "conversation_id"], unique=False)
    is_open = sa.text("delivered_ms IS NULL")
    op.create_index(
        "ix_agent_inbox_open", "agent_inbox", ["id"], unique=False, sqlite_where=is_open, postgresql_where=is_open
    )


def _councils() -> None:
    op.create_table(
        "council_templates",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_council_templates"),
    )


def _row_security() -> None:
    own = "current_user = 'junto_app' AND tenant_id = NULLIF(current_setting('junto.tenant', true), '')"
    every = "current_user = 'junto_operator'"
    for table in _OF_TENANTS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({own}) WITH CHECK ({own})")
        op.execute(f"CREATE POLICY operator ON {table} USING ({every}) WITH CHECK ({every})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO junto_app, junto_operator")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON council_templates TO junto_operator")
