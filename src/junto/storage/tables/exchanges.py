"""Stored exchanges: one row of metadata each, and their bodies apart, so that listing never reads a body.

Ids begin with their time, so the order of ids is the order of exchanges. Columns are named as the fields of
core.exchange.ExchangeRecord; `attempts` is JSON text; sizes are bytes: of the bodies as they were on the wire, and of
what is stored of both together.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from junto.storage.tables.metadata import METADATA


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _flag(name: str) -> Column[int]:
    """0 or 1: a plain integer binds fastest, and means the same in every database."""
    return Column(name, Integer, nullable=False)


EXCHANGES = Table(
    "exchanges",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("started_ms", BigInteger, nullable=False),  # no index: ids sort by time
    _text("tenant"),
    _text("client"),
    _text("wire"),
    _text("operation"),
    _text("requested_model"),
    _text("model"),
    _text("backend"),
    _text("locality"),
    _text("sensitivity"),
    _text("task_type"),
    _flag("stream"),
    _text("outcome"),
    _count("status"),
    _text("error_code"),
    _text("finish_reason"),
    _count("input_tokens"),
    _count("cache_read_tokens"),
    _count("cache_write_tokens"),
    _count("output_tokens"),
    _count("reasoning_tokens"),
    _flag("usage_estimated"),
    _count("cost_nano"),
    _text("price_date"),
    _count("ttft_ms"),
    _count("duration_ms"),
    _text("attempts"),
    _text("parent_id"),
    _text("keep"),
    _text("answer_wire"),
    _flag("answer_stream"),
    _flag("truncated"),
    _count("request_bytes"),
    _count("answer_bytes"),
    _count("stored_bytes"),
    sqlite_with_rowid=False,
)

BODIES = Table(
    "exchange_bodies",
    METADATA,
    Column("id", Text, primary_key=True),
    _text("codec"),  # of `content`: "zstd" or "raw"
    Column("content", LargeBinary, nullable=False),  # the request's body, then at once the answer's
    sqlite_with_rowid=False,
)
