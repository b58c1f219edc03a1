"""Tenants, their clients, and the API keys of those. Of a key only its prefix and its digest are kept.

A limit that is null is no limit. `scopes` and `allowed_models` are JSON arrays; `allowed_models` null allows all.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from junto.storage.tables.columns import count, flag, maybe_count, text
from junto.storage.tables.metadata import METADATA

TENANTS = Table(
    "tenants",
    METADATA,
    Column("id", Text, primary_key=True),  # the first one is "default"
    Column("name", Text, nullable=False, unique=True),
    flag("enabled"),
    maybe_count("requests_per_minute"),
    maybe_count("tokens_per_minute"),
    maybe_count("max_concurrency"),
    text("notes"),
    count("created_ms"),
    count("updated_ms"),
)

CLIENTS = Table(
    "clients",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("name"),
    flag("enabled"),
    maybe_count("requests_per_minute"),
    maybe_count("tokens_per_minute"),
    maybe_count("max_concurrency"),
    flag("allow_cloud_for_internal"),
    text("min_sensitivity"),
    Column("allowed_models", Text, nullable=True),
    count("weight"),
    text("scopes"),
    text("notes"),
    count("created_ms"),
    count("updated_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    text("tenant_id"),
    text("id"),
    text("client_id"),
    text("prefix"),  # the first characters of the key, for people
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256 of the whole key
    count("created_ms"),
    maybe_count("expires_ms"),  # set by a rotation: the old key works until then
    maybe_count("revoked_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id", "client_id"], ["clients.tenant_id", "clients.id"]),
    Index("ix_api_keys_client", "tenant_id", "client_id"),
)
