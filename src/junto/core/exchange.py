"""The record of one exchange: what was asked, who answered, what it cost. A value; storing it is storage's business."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from junto.core.usage import Usage


class Outcome(StrEnum):
    """How an exchange ended."""

    OK = "ok"
    ERROR = "error"  # the caller got an error, before or after the first byte
    CANCELLED = "cancelled"  # the caller went away


class Attempted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt: at which deployment, and how it went ("" is success).

    `swap_ms` is the part of it in which its model was brought into memory, 0 where that was there, or nobody knows.
    """

    backend: str
    model: str
    failure: str = ""
    milliseconds: int = 0
    swap_ms: int = 0


class ExchangeRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One exchange as it is journalled and stored.

    Times are milliseconds: `started_ms` since the epoch, `ttft_ms` and `duration_ms` since the start. `cost_nano` is
    nano-dollars. Bodies are the bytes as they went over the wire in `wire`'s shape (`answer_wire` for the answer,
    `answer_stream` when it is the text of a stream); empty when the tier keeps metadata only. `truncated` says that a
    body was over the stored size.

    Fields stand in the order of how often they say anything, since settlement makes one for each answer by position.
    """

    id: str
    started_ms: int
    wire: str
    operation: str
    requested_model: str
    sensitivity: str
    tenant: str = "default"  # its id
    client: str = "anonymous"  # its name
    client_id: str = ""
    key_id: str = ""
    model: str = ""
    backend: str = ""
    locality: str = ""
    status: int = 200
    finish_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    price_date: str = ""
    ttft_ms: int = 0
    duration_ms: int = 0
    keep: str = "metadata"  # full | metadata | none (not stored)
    answer_wire: str = ""
    task_type: str = ""
    error_code: str = ""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    job_id: str = ""  # the job that it was made for: that one is charged, not the exchange
    prompt_version: str = ""
    purpose: str = ""  # "" is a caller's; the operator's own: shadow | judge
    parent_id: str = ""
    parts_nano: int = 0  # what the parts of a composed answer cost, which have records of their own
    outcome: Outcome = Outcome.OK
    stream: bool = False
    answer_stream: bool = False
    usage_estimated: bool = False
    truncated: bool = False
    attempts: tuple[Attempted, ...] = ()
    paid: tuple[tuple[str, int], ...] = ()  # out of which reservations, and how much of each: (id, nano-dollars)
    request_body: bytes = b""
    answer_body: bytes = b""

    @property
    def usage(self) -> Usage:
        """What it used."""
        return Usage(
            input=self.input_tokens,
            cache_read=self.cache_read_tokens,
            cache_write=self.cache_write_tokens,
            output=self.output_tokens,
            reasoning=self.reasoning_tokens,
            estimated=self.usage_estimated,
        )
