"""The one MetaData object that all tables belong to, and what a database keeps about itself."""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, Table, Text

from junto.storage.tables.columns import count, text

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SCHEMA_VERSION = Table("schema_version", METADATA, Column("version", Integer, primary_key=True, autoincrement=False))

MARKERS = Table(
    "markers",
    METADATA,
    Column("name", Text, primary_key=True),
    text("value"),
    count("since_ms"),
)
