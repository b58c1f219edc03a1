"""Decides whether there are traces: when a collector is named by the standard variables, and the extra `otel` is installed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from junto.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack

    from junto.web.services import Build

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_EXTRA = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc")
_SERVICE = "junto"


async def open_tracing(
    build: Build,
    stack: AsyncExitStack,
    *,
    provider_of: Callable[[str], str],
    environ: Mapping[str, str] = os.environ,
) -> Tracing | None:
    """Tracing under way, ended by the stack; None where it is not wanted or not possible, which is said in one line."""
    if not is_wanted(environ):
        return None
    if not _is_installed():
        structlog.get_logger().warning(
            "tracing_off", reason="a collector is configured, but the extra is not installed: pip install 'junto[otel]'"
        )
        return None
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "grpc")
    if protocol != "grpc":
        structlog.get_logger().warning("tracing_off", reason=f"only OTLP over gRPC is spoken, not {protocol[:40]}")
        return None
    from junto.telemetry.otel import OtelEmitter  # noqa: PLC0415  an extra; it takes its time to import, too

    emitter = OtelEmitter(version=build.version, service_name=None if _names_service(environ) else _SERVICE)
    tracing = Tracing(emitter, provider_of=provider_of, content=environ.get(_CONTENT, "").strip().lower() == "true")
    tracing.start()
    stack.push_async_callback(tracing.stop)
    return tracing


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether a collector is named and nothing says no."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() not in {"otlp", ""}:
        return False
    return any(environ.get(name, "").strip() for name in _ENDPOINTS)


def _is_installed() -> bool:
    try:
        return all(find_spec(name) is not None for name in _EXTRA)
    except ModuleNotFoundError:  # a parent of it is missing
        return False


def _names_service(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("OTEL_SERVICE_NAME")) or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
