"""What an HTTP status and an upstream's words mean for routing: one table for the dialects that have no better say."""

from __future__ import annotations

from junto.core.errors import FailureKind

_TOO_LONG = (
    "prompt is too long",
    "input is too long",
    "input length exceeds",
    "maximum context length",
    "context length exceeded",
    "context_length_exceeded",
    "exceeds context",
    "exceeds the context",
    "exceeds the available context",
    "exceed context limit",
)
_BY_STATUS = {
    401: FailureKind.CREDENTIALS,
    402: FailureKind.CREDENTIALS,
    403: FailureKind.CREDENTIALS,
    404: FailureKind.MODEL_MISSING,
    413: FailureKind.CONTEXT_LENGTH,
    429: FailureKind.THROTTLED,
    503: FailureKind.BUSY,
    529: FailureKind.BUSY,
}


def failure_kind(status: int, words: str) -> FailureKind:
    """The kind of failure that an answer with this status is; `words` is what the upstream said about it."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if is_too_long(words):
        return FailureKind.CONTEXT_LENGTH
    return FailureKind.REJECTED if 400 <= status < 500 else FailureKind.SERVER  # noqa: PLR2004 - the classes of HTTP


def is_too_long(words: str) -> bool:
    """Whether an upstream says that the prompt does not fit into the model's context."""
    lower = words.lower()
    return any(phrase in lower for phrase in _TOO_LONG)
