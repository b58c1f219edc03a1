"""Council templates that an administrator has stored; those that come with Junto, and those of files, are not here."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from junto.storage.tables.columns import count, text
from junto.storage.tables.metadata import METADATA

COUNCIL_TEMPLATES = Table(
    "council_templates",
    METADATA,
    Column("name", Text, primary_key=True),
    text("document"),  # JSON
    text("author"),
    count("created_ms"),
    count("updated_ms"),
)
