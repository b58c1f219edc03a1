"""What the child says to Junto: frames of a kind and a length, then that many bytes of PCM. Pure; both ends use it."""

from __future__ import annotations

import struct
from enum import Enum

_HEAD = struct.Struct("<cI")
HEAD_BYTES = _HEAD.size
LONGEST = 1 << 16  # bytes of PCM in one frame


class Kind(Enum):
    """What a frame is."""

    SOUND = b"s"
    END = b"e"  # of a sentence
    REFUSED = b"r"  # the sentence cannot be said; the next one may


def head(kind: Kind, length: int = 0) -> bytes:
    """The bytes in front of a frame's own."""
    return _HEAD.pack(kind.value, length)


def read_head(data: bytes) -> tuple[Kind, int]:
    """Kind and length. Raises ValueError where it is not a frame, or too long a one."""
    kind, length = _HEAD.unpack(data)
    if length > LONGEST:
        raise ValueError("a frame is longer than it may be")
    return Kind(kind), length
