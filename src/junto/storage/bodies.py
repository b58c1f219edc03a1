"""Bodies at rest: both bodies of an exchange in one compressed frame, and back."""

from __future__ import annotations

import msgspec
import zstandard

_LEVEL = 3
_WORTH_COMPRESSING = 1024  # bytes: below that the frame's own cost eats the gain, at 5 us of processor time each
_MOST_BYTES = 256 * 1024 * 1024  # a frame that claims more was not written by Junto


class Packed(msgspec.Struct, frozen=True):
    """What is stored of a request and its answer; `codec` says how to read `content`."""

    codec: str
    content: bytes


class Packer:
    """Compresses bodies in one reused context; not for two threads at a time."""

    def __init__(self, *, compress: bool = True) -> None:
        self._compress = zstandard.ZstdCompressor(level=_LEVEL).compress if compress else None

    def pack(self, request: bytes, answer: bytes) -> Packed:
        """Both bodies as one; what does not get smaller is stored as it is."""
        raw = request + answer
        if self._compress is None or len(raw) < _WORTH_COMPRESSING:
            return Packed("raw", raw)
        small = self._compress(raw)
        return Packed("zstd", small) if len(small) < len(raw) else Packed("raw", raw)


def unpack(packed: Packed, request_bytes: int) -> tuple[bytes, bytes]:
    """The request's and the answer's body; raises ValueError when the content is damaged."""
    if packed.codec == "zstd":
        try:
            raw = zstandard.ZstdDecompressor().decompress(packed.content, max_output_size=_MOST_BYTES)
        except zstandard.ZstdError as error:
            raise ValueError(f"the stored bodies cannot be decompressed: {error}") from error
    elif packed.codec == "raw":
        raw = packed.content
    else:
        raise ValueError(f"the stored bodies have an unknown codec: {packed.codec!r}")
    return raw[:request_bytes], raw[request_bytes:]
