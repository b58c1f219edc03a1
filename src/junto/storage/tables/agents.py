"""Agents, and what was said with them. A conversation's row is locked by whoever adds to it, so that its turns are counted in one order.

`content` of a turn and `summary` are JSON and text, compressed and sealed as other bodies are (`*codec`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy import text as sql

from junto.storage.tables.columns import count, flag, maybe_bytes, maybe_count, text
from junto.storage.tables.metadata import METADATA

_IS_OPEN: Final = sql("delivered_ms IS NULL")

AGENTS = Table(
    "agents",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("name"),
    text("display_name"),
    text("role"),
    text("persona"),
    text("instructions"),
    text("model"),
    text("sensitivity"),  # "" is as the caller says
    flag("tools"),
    text("channels"),  # JSON
    maybe_count("retention_days"),
    flag("enabled"),
    count("created_ms"),
    count("updated_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
)

CONVERSATIONS = Table(
    "conversations",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("agent_id"),
    text("channel"),  # web | slack | api
    text("thread"),
    count("turns"),
    text("summary_codec"),
    maybe_bytes("summary"),
    count("summary_upto"),  # the number of the last turn that it sums up
    count("created_ms"),
    count("updated_ms"),  # of the last turn
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "agent_id", "channel", "thread"),
    ForeignKeyConstraint(["tenant_id", "agent_id"], ["agents.tenant_id", "agents.id"]),
    Index("ix_conversations_agent", "tenant_id", "agent_id", "id"),
    Index("ix_conversations_age", "tenant_id", "agent_id", "updated_ms"),
)

TURNS = Table(
    "conversation_turns",
    METADATA,
    text("tenant_id"),
    text("conversation_id"),
    Column("number", Integer, nullable=False),
    text("role"),  # user | assistant
    text("sender"),
    text("message_id"),  # of the user's message; an assistant's turn has the one that it answers
    flag("fallback"),
    count("tokens"),
    text("codec"),
    maybe_bytes("content"),
    count("sent_ms"),
    PrimaryKeyConstraint("tenant_id", "conversation_id", "number"),
    ForeignKeyConstraint(["tenant_id", "conversation_id"], ["conversations.tenant_id", "conversations.id"]),
)

INBOX = Table(
    "agent_inbox",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("agent_id"),
    text("channel"),
    text("message_id"),
    text("conversation_id"),
    Column("number", Integer, nullable=False),  # of the user's turn
    text("job_id"),
    count("received_ms"),
    maybe_count("reply"),  # the number of the assistant's turn
    maybe_count("answered_ms"),
    maybe_count("delivered_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "agent_id", "channel", "message_id"),
    ForeignKeyConstraint(["tenant_id", "conversation_id"], ["conversations.tenant_id", "conversations.id"]),
    Index("ix_agent_inbox_conversation", "tenant_id", "conversation_id"),
    Index("ix_agent_inbox_open", "id", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
)
