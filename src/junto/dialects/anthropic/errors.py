"""Errors as Anthropic words them, and what an upstream's error means for routing."""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.errors import FailureKind, JuntoError, UpstreamFailure
from junto.dialects.failures import failure_kind, is_too_long


class WireError(msgspec.Struct):
    """The inner object of an error."""

    type: Any = None
    message: Any = None


class WireFailure(msgspec.Struct):
    """The body of an error, or the data of an `error` event."""

    type: str = ""
    error: WireError | None = None


_FAILURE = msgspec.json.Decoder(WireFailure)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_KINDS = {
    "overloaded_error": FailureKind.BUSY,
    "rate_limit_error": FailureKind.THROTTLED,
    "authentication_error": FailureKind.CREDENTIALS,
    "permission_error": FailureKind.CREDENTIALS,
    "billing_error": FailureKind.CREDENTIALS,
}


def render_error(error: JuntoError) -> bytes:
    """The body of an error; reasons are part of the message."""
    words = " ".join((error.message, *error.reasons))
    return msgspec.json.encode({"type": "error", "error": {"type": error_type(error.status), "message": words}})


def error_type(status: int) -> str:
    """Anthropic's name for errors of this status."""
    return _TYPES.get(status, "invalid_request_error" if _CLIENT_ERROR <= status < _SERVER_ERROR else "api_error")


def parse_error(status: int, body: bytes) -> UpstreamFailure:
    """What an answer with an error status means; never raises."""
    try:
        error = _FAILURE.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = None
    words = str(error.message) if error is not None else body[:300].decode("utf-8", "replace")
    kind = failure_kind(status, words)
    if error is not None and error.type == "billing_error":
        kind = FailureKind.CREDENTIALS
    return UpstreamFailure(kind, words[:300], status=status)


def stream_failure(error: WireError | None) -> tuple[FailureKind, str]:
    """What an `error` event means, with its words."""
    if error is None:
        return FailureKind.SERVER, "neither an event nor an error"
    words = f"{error.type}: {error.message}"[:300]
    if is_too_long(words):
        return FailureKind.CONTEXT_LENGTH, words
    kind = _KINDS.get(error.type, FailureKind.SERVER) if isinstance(error.type, str) else FailureKind.SERVER
    return kind, words
