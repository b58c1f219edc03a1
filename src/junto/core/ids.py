"""The shape of ids: sortable by time, unique by entropy, readable by prefix. Makes none by itself (no clock here)."""

from __future__ import annotations


def request_id(milliseconds: int, entropy: int) -> str:
    """`req_` + 11 hex digits of wall-clock milliseconds + 13 hex digits of entropy (52 bits)."""
    return f"req_{milliseconds & 0xFFFFFFFFFFF:011x}{entropy & 0xFFFFFFFFFFFFF:013x}"


def record_id(kind: str, milliseconds: int, entropy: int) -> str:
    """The same after the prefix of another kind of thing: `cli_...`, `key_...`."""
    return f"{kind}_{milliseconds & 0xFFFFFFFFFFF:011x}{entropy & 0xFFFFFFFFFFFFF:013x}"
