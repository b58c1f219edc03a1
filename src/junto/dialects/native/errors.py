"""Native errors: one object with type, code and message; but a plain sentence when every provider is down."""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.errors import AllBackendsDown, JuntoError
from junto.dialects.openai.errors import parse_error

__all__ = ["parse_error", "render_error", "render_error_line"]

_ALL_DOWN = "All providers unavailable"


def render_error(error: JuntoError) -> bytes:
    """The body of an error answer."""
    if isinstance(error, AllBackendsDown):
        return msgspec.json.encode({"error": _ALL_DOWN})
    said: dict[str, Any] = {"type": error.type, "code": error.code, "message": error.message}
    if error.param is not None:
        said["param"] = error.param
    if error.reasons:
        said["reasons"] = error.reasons
    return msgspec.json.encode({"error": said})


def render_error_line(error: JuntoError) -> bytes:
    """The line that ends a stream with an error."""
    if isinstance(error, AllBackendsDown):
        return msgspec.json.encode({"type": "error", "message": _ALL_DOWN}) + b"\n"
    return msgspec.json.encode({"type": "error", "message": error.message, "code": error.code}) + b"\n"
