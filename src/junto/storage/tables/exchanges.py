"""Stored exchanges: one row of metadata each, and their bodies apart, so that listing never reads a body.

Ids begin with their time, so the order of ids is the order of exchanges. Columns are named as the fields of
core.exchange.ExchangeRecord; `attempts` is JSON text; sizes are bytes: of the bodies as they were on the wire, and of
what is stored of both together.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from junto.storage.tables.columns import count, flag, text
from junto.storage.tables.metadata import METADATA

EXCHANGES = Table(
    "exchanges",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("started_ms", BigInteger, nullable=False),  # no index: ids sort by time
    text("tenant"),  # its id
    text("client"),  # its name
    text("wire"),
    text("operation"),
    text("requested_model"),
    text("model"),
    text("backend"),
    text("locality"),
    text("sensitivity"),
    text("task_type"),
    flag("stream"),
    text("outcome"),
    count("status"),
    text("error_code"),
    text("finish_reason"),
    count("input_tokens"),
    count("cache_read_tokens"),
    count("cache_write_tokens"),
    count("output_tokens"),
    count("reasoning_tokens"),
    flag("usage_estimated"),
    count("cost_nano"),
    text("price_date"),
    count("ttft_ms"),
    count("duration_ms"),
    text("attempts"),
    text("parent_id"),
    text("keep"),
    text("answer_wire"),
    flag("answer_stream"),
    flag("truncated"),
    count("request_bytes"),
    count("answer_bytes"),
    count("stored_bytes"),
    text("client_id", default=""),
    text("key_id", default=""),
    text("job_id", default=""),  # the job that the exchange was made for; that one's ledger entry is the job's
    text("prompt_version", default=""),
    text("purpose", default=""),  # "" is a caller's; the operator's own: shadow | judge
    count("parts_nano", default=0),  # what the parts of a composed answer cost, which are exchanges of their own
    sqlite_with_rowid=False,
)

BODIES = Table(
    "exchange_bodies",
    METADATA,
    Column("id", Text, primary_key=True),
    text("codec"),  # of `content`: "zstd" or "raw"
    Column("content", LargeBinary, nullable=False),  # the request's body, then at once the answer's
    text("tenant", default="default"),
    sqlite_with_rowid=False,
)
