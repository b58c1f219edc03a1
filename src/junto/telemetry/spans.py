"""What a trace says: names of spans and attributes, and the span of each thing that is observed. Pure; knows no SDK.

Names beginning with gen_ai are OpenTelemetry's semantic conventions for generative AI, `error.type` and `server.*` its general
ones; those beginning with junto are Junto's own. All of them are written here and nowhere else.

Ids are derived from the ids of jobs and exchanges, so processes that never spoke to each other add to the same trace.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.core.exchange import ExchangeRecord
    from junto.ports.observer import DispatchEnded, JobEnded, SwapEnded

type Value = str | bool | int | float | tuple[str, ...]

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_CREATION: Final = "gen_ai.usage.cache_creation.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
ERROR_TYPE: Final = "error.type"

TENANT: Final = "junto.tenant"
CLIENT: Final = "junto.client"
BACKEND: Final = "junto.backend"
LOCALITY: Final = "junto.locality"
SENSITIVITY: Final = "junto.sensitivity"
WIRE: Final = "junto.wire"
TASK_TYPE: Final = "junto.task_type"
PROMPT_VERSION: Final = "junto.prompt_version"
COST_USD: Final = "junto.cost_usd"
USAGE_ESTIMATED: Final = "junto.usage_estimated"
ATTEMPTS: Final = "junto.attempts"
FALLBACK_FROM: Final = "junto.fallback_from"
OUTCOME: Final = "junto.outcome"
JOB_ID: Final = "junto.job.id"
JOB_STATUS: Final = "junto.job.status"
JOB_PRIORITY: Final = "junto.job.priority"
JOB_WAIT_MS: Final = "junto.job.wait_ms"
DISPATCH_NUMBER: Final = "junto.dispatch.number"
DISPATCH_WORKER: Final = "junto.dispatch.worker"
SWAP_OPERATION: Final = "junto.swap.operation"
SWAP_MS: Final = "junto.swap.ms"
REQUEST_BODY: Final = "junto.request.body"
ANSWER_BODY: Final = "junto.answer.body"

_OPERATIONS: Final = {"chat": "chat", "complete": "text_completion", "embed": "embeddings"}
_NANO_PER_MS: Final = 1_000_000
_MOST_CONTENT: Final = 8_192
_PUBLIC: Final = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """A span that is over. Times are nanoseconds since the epoch; `remote` says that it waited for another process's answer."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    started_ns: int
    ended_ns: int
    attributes: Mapping[str, Value]
    error: str = ""
    remote: bool = False


def inference_span(record: ExchangeRecord, *, provider: str = "", content: bool = False) -> SpanRecord:
    """The span of an exchange that a backend of that provider answered. With `content`, what was said is in it, if its tier is public."""
    operation = _OPERATIONS.get(record.operation, record.operation)
    root = record.job_id or record.parent_id or record.id
    request: dict[str, Value] = {
        OPERATION_NAME: operation,
        PROVIDER_NAME: provider,
        REQUEST_MODEL: record.requested_model[:200],
        REQUEST_STREAM: record.stream,
        RESPONSE_ID: record.id,
        RESPONSE_MODEL: record.model,
        RESPONSE_FINISH_REASONS: (record.finish_reason,) if record.finish_reason else (),
        RESPONSE_TIME_TO_FIRST_CHUNK: record.ttft_ms / 1000,
        JOB_ID: record.job_id,
    }
    said = _content(record) if content and record.sensitivity == _PUBLIC else {}
    return SpanRecord(
        name=f"{operation} {record.requested_model[:200]}",
        trace_id=trace_id(root),
        span_id=span_id(record.id),
        parent_id=span_id(root) if root != record.id else None,
        started_ns=record.started_ms * _NANO_PER_MS,
        ended_ns=(record.started_ms + record.duration_ms) * _NANO_PER_MS,
        attributes=_present(request | _usage(record) | _circumstances(record) | said),
        error=record.error_code or ("cancelled" if record.outcome == "cancelled" else ""),
        remote=True,
    )


def job_span(job: JobEnded) -> SpanRecord:
    """The span of a job, from its submission to its end: the root of everything that was done for it."""
    waited = None if job.started_ms is None else job.started_ms - job.created_ms
    return SpanRecord(
        name=f"job {job.task_type[:200]}",
        trace_id=trace_id(job.id),
        span_id=span_id(job.id),
        parent_id=None,
        started_ns=job.created_ms * _NANO_PER_MS,
        ended_ns=max(job.finished_ms, job.created_ms) * _NANO_PER_MS,
        attributes=_present(
            {
                JOB_ID: job.id,
                JOB_STATUS: job.status,
                JOB_PRIORITY: job.priority,
                JOB_WAIT_MS: -1 if waited is None else waited,
                ATTEMPTS: job.attempts,
                TENANT: job.tenant,
                CLIENT: job.client,
                TASK_TYPE: job.task_type[:200],
                SENSITIVITY: job.sensitivity,
                RESPONSE_MODEL: job.model,
                BACKEND: job.backend,
                ERROR_TYPE: job.error_code,
            }
        ),
        error=job.error_code,
    )


def dispatch_span(dispatch: DispatchEnded) -> SpanRecord:
    """The span of a worker's attempt at a job."""
    error = "" if dispatch.outcome == "ok" else dispatch.error_code or dispatch.outcome
    return SpanRecord(
        name=f"dispatch {dispatch.task_type[:200]}",
        trace_id=trace_id(dispatch.job_id),
        span_id=span_id(f"{dispatch.job_id}/{dispatch.number}"),
        parent_id=span_id(dispatch.job_id),
        started_ns=dispatch.started_ms * _NANO_PER_MS,
        ended_ns=max(dispatch.ended_ms, dispatch.started_ms) * _NANO_PER_MS,
        attributes=_present(
            {
                JOB_ID: dispatch.job_id,
                DISPATCH_NUMBER: dispatch.number,
                DISPATCH_WORKER: dispatch.worker,
                OUTCOME: dispatch.outcome,
                TASK_TYPE: dispatch.task_type[:200],
                SENSITIVITY: dispatch.sensitivity,
                RESPONSE_MODEL: dispatch.model,
                BACKEND: dispatch.backend,
                SWAP_MS: dispatch.swap_ms,
                ERROR_TYPE: error,
            }
        ),
        error=error,
    )


def swap_span(swap: SwapEnded) -> SpanRecord:
    """The span of a model's load or unload. One whose time nobody knows is a point in time."""
    own = f"{swap.backend}/{swap.model}/{swap.operation}/{swap.ended_ms}"
    started_ms = swap.ended_ms - (swap.milliseconds or 0)
    return SpanRecord(
        name=f"{swap.operation} {swap.model[:200]}",
        trace_id=trace_id(swap.job_id or own),
        span_id=span_id(own),
        parent_id=span_id(swap.job_id) if swap.job_id else None,
        started_ns=started_ms * _NANO_PER_MS,
        ended_ns=swap.ended_ms * _NANO_PER_MS,
        attributes=_present(
            {
                SWAP_OPERATION: swap.operation,
                REQUEST_MODEL: swap.model[:200],
                BACKEND: swap.backend,
                JOB_ID: swap.job_id,
                ERROR_TYPE: swap.failure,
            }
        ),
        error=swap.failure,
        remote=True,
    )


def trace_id(root: str) -> int:
    """The id of the trace that belongs to a job or an exchange; never 0, which is none."""
    return int.from_bytes(hashlib.sha256(b"trace " + root.encode()).digest()[:16]) or 1


def span_id(own: str) -> int:
    """The id of the span of a job, an exchange or an attempt; never 0, which is none."""
    return int.from_bytes(hashlib.sha256(b"span " + own.encode()).digest()[:8]) or 1


def _usage(record: ExchangeRecord) -> dict[str, Value]:
    """By the conventions input tokens include cached ones; Junto's own classes are disjoint."""
    every_input = record.input_tokens + record.cache_read_tokens + record.cache_write_tokens
    return {
        USAGE_INPUT_TOKENS: every_input,
        USAGE_OUTPUT_TOKENS: record.output_tokens,
        USAGE_CACHE_READ: record.cache_read_tokens,
        USAGE_CACHE_CREATION: record.cache_write_tokens,
        USAGE_REASONING: record.reasoning_tokens,
        USAGE_ESTIMATED: record.usage_estimated,
        COST_USD: record.cost_nano / 1e9,
    }


def _circumstances(record: ExchangeRecord) -> dict[str, Value]:
    answering = (record.backend, record.model)
    left = dict.fromkeys(
        f"{each.backend}/{each.model}" for each in record.attempts if (each.backend, each.model) != answering
    )
    return {
        TENANT: record.tenant,
        CLIENT: record.client,
        BACKEND: record.backend,
        LOCALITY: record.locality,
        SENSITIVITY: record.sensitivity,
        WIRE: record.wire,
        TASK_TYPE: record.task_type[:200],
        PROMPT_VERSION: record.prompt_version,
        ATTEMPTS: len(record.attempts),
        FALLBACK_FROM: tuple(left),
        OUTCOME: str(record.outcome),
        ERROR_TYPE: record.error_code,
    }


def _content(record: ExchangeRecord) -> dict[str, Value]:
    return {
        REQUEST_BODY: record.request_body[:_MOST_CONTENT].decode("utf-8", "replace"),
        ANSWER_BODY: record.answer_body[:_MOST_CONTENT].decode("utf-8", "replace"),
    }


def _present(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Without those that say nothing: empty texts and lists, and zeros that mean `not measured`."""
    return {
        name: value for name, value in attributes.items() if value not in ("", ()) and not _is_unmeasured(name, value)
    }


def _is_unmeasured(name: str, value: Value) -> bool:
    return (name == RESPONSE_TIME_TO_FIRST_CHUNK and not value) or (name == JOB_WAIT_MS and value == -1)
