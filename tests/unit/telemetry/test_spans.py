"""Traces: which spans there are, how they hang together, and that what was said is in none of them unless asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from junto.bootstrap.tracing import is_wanted
from junto.core.exchange import Attempted, ExchangeRecord, Outcome
from junto.ports.observer import DispatchEnded, SwapEnded
from junto.telemetry.otel import OtelEmitter
from junto.telemetry.spans import SpanRecord, inference_span, span_id, trace_id
from junto.telemetry.tracing import Tracing
from tests.unit.telemetry.test_work import JOB

pytestmark = pytest.mark.anyio

CANARY = "canary-in-the-prompt"
RECORD = ExchangeRecord(
    id="req_1",
    started_ms=1_763_700_000_000,
    tenant="default",
    client="app",
    wire="openai.chat",
    operation="chat",
    requested_model="fast",
    model="llama3.2:3b",
    backend="desk",
    locality="local",
    sensitivity="public",
    task_type="bio_generation",
    stream=True,
    finish_reason="stop",
    input_tokens=10,
    cache_read_tokens=5,
    cache_write_tokens=1,
    output_tokens=3,
    reasoning_tokens=2,
    cost_nano=1_500_000,
    ttft_ms=120,
    duration_ms=900,
    attempts=(
        Attempted(backend="rack", model="qwen3:8b", failure="connect", milliseconds=3),
        Attempted(backend="desk", model="llama3.2:3b", milliseconds=880),
    ),
    keep="full",
    request_body=f'{{"messages":[{{"role":"user","content":"{CANARY}"}}]}}'.encode(),
    answer_body=CANARY.encode(),
)
DISPATCH = DispatchEnded(
    job_id="job_1",
    number=2,
    task_type="bio_generation",
    sensitivity="internal",
    worker="w1",
    outcome="crashed",
    started_ms=1_200,
    ended_ms=3_000,
)


def changed(**changes: Any) -> ExchangeRecord:
    return msgspec.structs.replace(RECORD, **changes)


class Kept:
    """An emitter that keeps."""

    def __init__(self) -> None:
        self.records: list[SpanRecord] = []
        self.closed = 0

    def emit(self, records: Sequence[SpanRecord]) -> None:
        self.records.extend(records)

    def close(self) -> None:
        self.closed += 1


async def exported(*seen: Any, content: bool = False) -> dict[str, Any]:
    """The spans that the SDK gives its exporter for what is observed, by name."""
    exporter = InMemorySpanExporter()
    emitter = OtelEmitter(version="1", service_name="junto", processor=SimpleSpanProcessor(exporter))
    tracing = Tracing(emitter, provider_of=lambda backend: f"provider of {backend}", content=content)
    for one in seen:
        match one:
            case ExchangeRecord():
                tracing.exchange_ended(one)
            case SwapEnded():
                tracing.swap_ended(one)
            case DispatchEnded():
                tracing.dispatch_ended(one)
            case _:
                tracing.job_ended(one)
    await tracing.flush()
    spans = exporter.get_finished_spans()
    emitter.close()
    assert len(spans) == len(seen)
    return {span.name: span for span in spans}


async def test_an_exchange_is_an_inference_span_by_the_conventions() -> None:
    span = (await exported(RECORD))["chat fast"]
    attributes = dict(span.attributes)
    assert span.kind is SpanKind.CLIENT
    assert (span.start_time, span.end_time) == (1_763_700_000_000_000_000, 1_763_700_000_900_000_000)
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "provider of desk"
    assert attributes["gen_ai.request.model"] == "fast"
    assert attributes["gen_ai.response.model"] == "llama3.2:3b"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.usage.input_tokens"] == 16
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert attributes["gen_ai.response.time_to_first_chunk"] == 0.12
    assert attributes["junto.sensitivity"] == "public"
    assert attributes["junto.fallback_from"] == ("rack/qwen3:8b",)
    assert span.resource.attributes["service.name"] == "junto"
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is None


async def test_jobs_dispatches_inferences_and_swaps_are_one_trace_whoever_saw_them() -> None:
    swap = SwapEnded(
        backend="desk", model="llama3.2:3b", operation="load", ended_ms=2_000, milliseconds=500, job_id="job_1"
    )
    spans = await exported(JOB, DISPATCH, changed(job_id="job_1"), swap)
    assert {span.context.trace_id for span in spans.values()} == {trace_id("job_1")}
    job = spans["job bio_generation"]
    assert job.parent is None
    assert job.context.span_id == span_id("job_1")
    assert {span.parent.span_id for span in spans.values() if span is not job} == {job.context.span_id}
    assert spans["dispatch bio_generation"].status.description == "crashed"
    assert spans["load llama3.2:3b"].end_time - spans["load llama3.2:3b"].start_time == 500_000_000
    assert len({span.context.span_id for span in spans.values()}) == 4


async def test_a_councils_member_hangs_on_its_parent() -> None:
    span = (await exported(changed(parent_id="req_0")))["chat fast"]
    assert (span.context.trace_id, span.parent.span_id) == (trace_id("req_0"), span_id("req_0"))


async def test_an_error_is_an_error() -> None:
    refused = changed(outcome=Outcome.ERROR, status=503, error_code="overloaded", model="", backend="", attempts=())
    span = (await exported(refused))["chat fast"]
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "overloaded")
    assert "gen_ai.response.model" not in span.attributes
    gone = (await exported(changed(outcome=Outcome.CANCELLED)))["chat fast"]
    assert gone.status.description == "cancelled"


@pytest.mark.parametrize("tier", ["public", "internal", "confidential"])
async def test_without_being_asked_no_span_has_content(tier: str) -> None:
    span = (await exported(changed(sensitivity=tier)))["chat fast"]
    assert CANARY not in span.to_json()


@pytest.mark.parametrize("tier", ["internal", "confidential", ""])
async def test_above_public_no_span_has_content_whatever_is_asked(tier: str) -> None:
    span = (await exported(changed(sensitivity=tier), content=True))["chat fast"]
    assert CANARY not in span.to_json()
    assert "body" not in str(inference_span(changed(sensitivity=tier), content=True).attributes)


async def test_content_of_public_exchanges_is_there_when_asked_for_and_cut() -> None:
    span = (await exported(changed(answer_body=b"x" * 100_000), content=True))["chat fast"]
    assert CANARY in span.attributes["junto.request.body"]
    assert len(span.attributes["junto.answer.body"]) == 8_192


async def test_no_body_waits_in_memory_for_the_exporter() -> None:
    for content, tier in ((False, "public"), (True, "internal"), (True, "confidential")):
        tracing = Tracing(Kept(), content=content)
        tracing.exchange_ended(changed(sensitivity=tier))
        [waiting] = tracing._waiting
        assert isinstance(waiting, ExchangeRecord)
        assert (waiting.request_body, waiting.answer_body) == (b"", b"")


async def test_what_the_exporter_cannot_keep_up_with_is_dropped_and_counted() -> None:
    emitter = Kept()
    tracing = Tracing(emitter, most_waiting=10)
    for _ in range(25):
        tracing.exchange_ended(RECORD)
    await tracing.flush()
    assert (len(emitter.records), tracing.dropped) == (10, 15)


async def test_it_exports_by_itself_and_what_is_left_at_the_end() -> None:
    emitter = Kept()
    tracing = Tracing(emitter, every=0.005)
    tracing.start()
    tracing.exchange_ended(RECORD)
    async with asyncio.timeout(10):
        while not emitter.records:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    tracing.exchange_ended(RECORD)
    await tracing.stop()
    await tracing.stop()
    assert (len(emitter.records), emitter.closed) == (2, 1)


async def test_an_emitter_that_fails_fails_nobody_else() -> None:
    class Broken(Kept):
        def emit(self, records: Sequence[SpanRecord]) -> None:
            raise RuntimeError("broken")

    tracing = Tracing(Broken())
    tracing.exchange_ended(RECORD)
    await tracing.flush()


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_there_are_traces_only_where_a_collector_is_named(environ: dict[str, str], wanted: bool) -> None:  # noqa: FBT001
    assert is_wanted(environ) is wanted
