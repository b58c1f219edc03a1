"""Audio files that speech jobs made. The id is the name that callers know; which file that is, job, number and fence say."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from junto.storage.tables.columns import count, text
from junto.storage.tables.metadata import METADATA

OUTPUTS = Table(
    "outputs",
    METADATA,
    text("tenant_id"),
    text("id"),  # the public name
    text("job_id"),
    text("client_id"),
    count("number"),  # of the chapter, from 1; 0 for a text in one piece
    count("fence"),  # of the claim that made it
    text("voice"),
    text("content_type"),
    count("characters"),
    count("bytes"),
    count("audio_ms"),
    count("created_ms"),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("ix_outputs_job", "job_id", "tenant_id"),
    Index("ix_outputs_age", "created_ms"),
)
