"""What must not be read in a log: a structlog processor that masks secrets, and one that makes text safe for a terminal.

The first line of defence is core/secret.py; this is the second, for what got here as plain text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from junto.core.secret import MASK, Secret

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

SECRET_NAMES = frozenset(
    {
        "admin_key",
        "api_key",
        "apikey",
        "authorization",
        "cookie",
        "password",
        "proxy_authorization",
        "secret",
        "set_cookie",
        "x_api_key",
        "x_goog_api_key",
    }
)
_DEEPEST = 6
_PAIR = 2
_CREDENTIAL = re.compile(
    r"(?i:\bbearer\s+)[\w.~+/=-]{6,}|\b(?:sk|jt|gsk|xai)[-_][\w-]{12,}|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"
)


def mask_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace secrets by their type, by the name they go by, and by what credentials look like inside a text."""
    return {key: _masked(key, value, _DEEPEST) for key, value in event.items()}


def escape_unprintable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape line breaks and control characters, which would forge lines or command the terminal. Tracebacks keep lines."""
    return {key: _printable(key, value) if isinstance(value, str) else value for key, value in event.items()}


def _masked(name: object, value: Any, depth: int) -> Any:
    if isinstance(value, Secret) or _is_secret_name(name):
        return MASK
    if isinstance(value, str):
        return _CREDENTIAL.sub(MASK, value)
    if isinstance(value, dict | list | tuple):
        return _masked_inside(value, depth - 1) if depth else "..."
    return value


def _masked_inside(value: dict[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
    if isinstance(value, dict):
        return {key: _masked(key, item, depth) for key, item in value.items()}
    if len(value) == _PAIR and _is_secret_name(value[0]):  # a header as (name, value)
        return [value[0], MASK]
    return [_masked(None, item, depth) for item in value]


def _is_secret_name(name: object) -> bool:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return isinstance(name, str) and name.lower().replace("-", "_") in SECRET_NAMES


def _printable(name: str, text: str) -> str:
    if name == "exception":
        return "\n".join(_escaped(line) for line in text.split("\n"))
    return _escaped(text)


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
