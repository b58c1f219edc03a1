"""Traces over a real gRPC connection to a collector on loopback, configured by nothing but the standard variables."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]  # its package has no types
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from junto.bootstrap.tracing import open_tracing
from junto.web.services import Build
from tests.unit.telemetry.test_spans import CANARY, RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
BUILD = Build(version="0.1.0", git_sha="abc")


class Collector(TraceServiceServicer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        self.requests.append(request)
        self.headers.append(dict(context.invocation_metadata()))
        return ExportTraceServiceResponse()

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    kept = Collector()
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    add_TraceServiceServicer_to_server(kept, server)  # type: ignore[no-untyped-call]
    kept.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield kept
    server.stop(None).wait()


async def exported(collector: Collector, monkeypatch: pytest.MonkeyPatch, **environ: str) -> None:
    """One exchange, traced with those variables besides the collector's address, until everything is closed."""
    standing = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"}
    for name, value in {**standing, **environ}.items():
        monkeypatch.setenv(name, value)  # the SDK reads the process's own environment
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        tracing = await open_tracing(BUILD, stack, provider_of=lambda _: "ollama")
        assert tracing is not None
        tracing.exchange_ended(RECORD)


async def test_spans_reach_the_collector_by_the_time_junto_has_stopped(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    await exported(collector, monkeypatch, OTEL_EXPORTER_OTLP_HEADERS="x-tenant=ours")
    [span] = collector.spans
    assert span.name == "chat fast"
    attributes = {each.key: each.value.string_value for each in span.attributes}
    assert attributes["gen_ai.provider.name"] == "ollama"
    assert collector.headers[0]["x-tenant"] == "ours"
    resource = {
        each.key: each.value.string_value for each in collector.requests[0].resource_spans[0].resource.attributes
    }
    assert (resource["service.name"], resource["service.version"]) == ("junto", "0.1.0")
    assert CANARY.encode() not in collector.requests[0].SerializeToString()


async def test_the_service_is_called_as_the_environment_says(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    await exported(collector, monkeypatch, OTEL_SERVICE_NAME="gateway-eu")
    resource = {
        each.key: each.value.string_value for each in collector.requests[0].resource_spans[0].resource.attributes
    }
    assert resource["service.name"] == "gateway-eu"


async def test_content_of_public_exchanges_is_sent_when_the_standard_variable_asks(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    await exported(collector, monkeypatch, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true")
    assert CANARY.encode() in collector.requests[0].SerializeToString()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    ],
)
async def test_otherwise_there_is_no_tracing(environ: dict[str, str]) -> None:
    async with AsyncExitStack() as stack:
        assert await open_tracing(BUILD, stack, provider_of=lambda _: "", environ=environ) is None


async def test_a_missing_extra_is_one_line_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("junto.bootstrap.tracing._EXTRA", ("no_such_package.sdk",))
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    async with AsyncExitStack() as stack:
        assert await open_tracing(BUILD, stack, provider_of=lambda _: "", environ=environ) is None
