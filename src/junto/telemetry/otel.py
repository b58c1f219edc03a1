"""Spans to OpenTelemetry's SDK, and from there over OTLP gRPC. The only file that imports the SDK, which is an extra.

Configured by the standard variables (OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER,
OTEL_BSP_*), which the SDK reads by itself. Touches no global provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.telemetry.spans import SpanRecord

_CLOSE_MS = 3_000


class _ChosenIds(IdGenerator):
    """Gives the ids that were chosen for the span that is being started; random ones otherwise."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.chosen: SpanRecord | None = None

    def generate_trace_id(self) -> int:
        return self.chosen.trace_id if self.chosen is not None else self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        return self.chosen.span_id if self.chosen is not None else self._random.generate_span_id()


class OtelEmitter:
    """Implements tracing.Emitter on a provider of its own. Not for several threads at once."""

    def __init__(self, *, version: str, service_name: str | None, processor: SpanProcessor | None = None) -> None:
        described = {SERVICE_VERSION: version} | ({SERVICE_NAME: service_name} if service_name else {})
        self._ids = _ChosenIds()
        self._provider = TracerProvider(
            resource=Resource.create(described), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("junto", version)

    def emit(self, records: Sequence[SpanRecord]) -> None:
        for record in records:
            self._emit(record)

    def close(self) -> None:
        self._provider.force_flush(_CLOSE_MS)
        self._provider.shutdown()

    def _emit(self, record: SpanRecord) -> None:
        self._ids.chosen = record
        span = self._tracer.start_span(
            record.name,
            context=_parent(record),
            kind=SpanKind.CLIENT if record.remote else SpanKind.INTERNAL,
            attributes=dict(record.attributes),
            start_time=record.started_ns,
        )
        self._ids.chosen = None
        if record.error:
            span.set_status(Status(StatusCode.ERROR, record.error))
        span.end(record.ended_ns)


def _parent(record: SpanRecord) -> Context:
    """A context in which the parent is current; an empty one for a root, whatever this thread did before."""
    if record.parent_id is None:
        return Context()
    parent = SpanContext(record.trace_id, record.parent_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(parent), Context())
