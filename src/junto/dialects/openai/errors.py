"""OpenAI's error object, both ways: Junto's errors for callers, and what an upstream's mean for routing.

An upstream's words never leave this file: they may repeat the prompt. Only its machine-readable code does, for logs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.errors import FailureKind, UpstreamFailure
from junto.dialects.failures import failure_kind

if TYPE_CHECKING:
    from junto.core.errors import JuntoError

_BY_CODE = {
    "context_length_exceeded": FailureKind.CONTEXT_LENGTH,
    "exceed_context_size_error": FailureKind.CONTEXT_LENGTH,  # llama.cpp
    "insufficient_quota": FailureKind.THROTTLED,
    "rate_limit_exceeded": FailureKind.THROTTLED,
    "rate_limit_error": FailureKind.THROTTLED,
    "model_not_found": FailureKind.MODEL_MISSING,
    "invalid_api_key": FailureKind.CREDENTIALS,
    "authentication_error": FailureKind.CREDENTIALS,
    "overloaded_error": FailureKind.BUSY,
}
_TOO_LONG = re.compile(
    r"context window|maximum (?:model|sequence) length|max_model_len|too many tokens|reduce the length of"
    r"|exceeds the maximum number of tokens|available context size",
    re.IGNORECASE,
)
_MAY_BE_TOO_LONG = frozenset({400, 413, 422, 500})
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def error_object(error: JuntoError) -> dict[str, Any]:
    """The body of an error answer."""
    said: dict[str, Any] = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    if error.reasons:
        said["reasons"] = error.reasons
    return {"error": said}


def render_error(error: JuntoError) -> bytes:
    """The body of an error answer, as bytes."""
    return msgspec.json.encode(error_object(error))


def render_error_event(error: JuntoError) -> bytes:
    """The event that ends a stream with an error; no [DONE] follows, since nothing is done."""
    return b"data: %b\n\n" % render_error(error)


def parse_error(status: int, body: bytes) -> UpstreamFailure:
    """What an upstream's error answer means. Never raises, whatever the body is."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded = None
    return failure_of(decoded, status)


def failure_of(wire: object, status: int | None = None) -> UpstreamFailure:
    """What an error object, or a body around one, means; without a `status` the object's own code may be one."""
    error = _error_in(wire)
    words = [word for word in (error.get("code"), error.get("type")) if isinstance(word, str) and _WORD.fullmatch(word)]
    known = status if status is not None else _status_in(error.get("code"))
    kind = _kind(known, words, str(error.get("message", "")))
    return UpstreamFailure(kind, " ".join(words), status=status)


def _kind(status: int, words: list[str], message: str) -> FailureKind:
    for word in words:
        if word in _BY_CODE:
            return _BY_CODE[word]
    if status in _MAY_BE_TOO_LONG and _TOO_LONG.search(message):
        return FailureKind.CONTEXT_LENGTH
    return failure_kind(status, message) if status >= 400 else FailureKind.PROTOCOL  # noqa: PLR2004


def _status_in(code: object) -> int:
    """The HTTP status that an error object in a 200 carries as its code; 500 when it carries none."""
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:  # noqa: PLR2004
        code = int(code)
    return code if isinstance(code, int) and 400 <= code < 600 else 500  # noqa: PLR2004


def _error_in(wire: object) -> Mapping[str, Any]:
    """The object with message, type and code: OpenAI nests it, others put it flat, or in a list, or send a text."""
    if isinstance(wire, list) and wire:
        wire = wire[0]
    if isinstance(wire, Mapping):
        inner = wire.get("error", wire)
        if isinstance(inner, Mapping):
            return inner if "message" in inner else {**inner, "message": inner.get("detail", "")}
        return {"message": inner}
    return {}
