"""Bytes and values that several emulators make alike: server-sent events, tool-call pieces, embeddings. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any


def compact(value: Any) -> str:
    """Encode JSON as the real servers do: no spaces, UTF-8 left as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def event(data: Any, name: str | None = None) -> bytes:
    """Make one server-sent event; a string is sent as it is, anything else as JSON."""
    text = data if isinstance(data, str) else compact(data)
    label = f"event: {name}\n" if name else ""
    return f"{label}data: {text}\n\n".encode()


def line(data: Any) -> bytes:
    """Make one line of newline-delimited JSON as Go's encoder does: two characters that some take for line ends escaped."""
    return f"{compact(data)}\n".replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()


def argument_pieces(arguments: Mapping[str, Any], length: int = 8) -> tuple[str, ...]:
    """Cut a tool call's arguments as a stream delivers them."""
    text = compact(dict(arguments))
    return tuple(text[start : start + length] for start in range(0, len(text), length))


def call_id(prefix: str, name: str, number: int) -> str:
    """Make an id for a tool call: the same call gets the same id in every run."""
    return prefix + hashlib.sha256(f"{name}/{number}".encode()).hexdigest()[:24]


def embedding(text: str, dimensions: int) -> list[float]:
    """Make a vector of length 1 out of a text; equal texts get equal vectors."""
    stream = b"".join(hashlib.sha256(f"{block}/{text}".encode()).digest() for block in range(dimensions // 32 + 1))
    raw = [byte / 127.5 - 1.0 for byte in stream[:dimensions]]
    norm = math.sqrt(sum(value * value for value in raw)) or 1.0
    return [value / norm for value in raw]
