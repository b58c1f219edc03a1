"""Errors as Ollama words them, `{"error": "message"}`, and what an upstream's error means for routing."""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.errors import JuntoError, UpstreamFailure
from junto.dialects.failures import failure_kind


class _Error(msgspec.Struct):
    error: Any = None


_ERROR = msgspec.json.Decoder(_Error)


def render_error(error: JuntoError) -> bytes:
    """The body of an error, or the line that ends a stream; reasons are part of the message."""
    return msgspec.json.encode({"error": " ".join((error.message, *error.reasons))})


def parse_error(status: int, body: bytes) -> UpstreamFailure:
    """What an answer with an error status means; never raises."""
    detail = _detail(body)
    return UpstreamFailure(failure_kind(status, detail), detail[:300], status=status)


def _detail(body: bytes) -> str:
    try:
        error = _ERROR.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = None
    if isinstance(error, dict):
        error = error.get("message")
    return str(error) if error else body[:300].decode("utf-8", "replace")
