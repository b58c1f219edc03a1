"""The shape of ids: sortable by time, unique by entropy, readable by prefix. Makes none by itself (no clock here)."""

from __future__ import annotations


def request_id(milliseconds: int, entropy: int) -> str:
    """`req_` + 11 hex digits of wall-clock milliseconds + 13 hex digits of entropy (52 bits)."""
    return "req_" + _hex(milliseconds, entropy)


def record_id(kind: str, milliseconds: int, entropy: int) -> str:
    """The same after the prefix of another kind of thing: `cli_...`, `key_...`."""
    return f"{kind}_{_hex(milliseconds, entropy)}"


def _hex(milliseconds: int, entropy: int) -> str:
    # All 24 digits at once: formatting two numbers takes three times as long, and each request has an id.
    return ((milliseconds & 0xFFFFFFFFFFF) << 52 | entropy & 0xFFFFFFFFFFFFF).to_bytes(12).hex()
