"""Routes by task type, and prompt templates; every save is a version. Both belong to the operator, not to a tenant.

`versions` has one counter for each thing that nodes keep a copy of: a node whose copy is of a lower number loads it again.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, Table, Text

from junto.storage.tables.columns import count, flag, text
from junto.storage.tables.metadata import METADATA

ROUTE_VERSIONS = Table(
    "route_versions",
    METADATA,
    text("task_type"),
    Column("version", Integer, nullable=False),  # 1, 2, 3 of its task type; the highest one is in force
    text("document"),  # JSON
    flag("deleted"),
    text("author"),
    count("created_ms"),
    PrimaryKeyConstraint("task_type", "version"),
)

PROMPT_VERSIONS = Table(
    "prompt_versions",
    METADATA,
    text("client_id"),  # "" is shared by all
    text("task_type"),
    Column("version", Integer, nullable=False),
    text("body"),
    text("source"),  # where it came from: "api", "file", "cli"
    text("git_hash"),  # of the file, when it came from one
    flag("deleted"),
    text("author"),
    count("created_ms"),
    PrimaryKeyConstraint("client_id", "task_type", "version"),
)

VERSIONS = Table(
    "versions",
    METADATA,
    Column("name", Text, primary_key=True),  # keys (and clients, tenants, budgets) | routes | prompts
    count("version"),
)
