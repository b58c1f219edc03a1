"""Sends a file of this host: whole, or the range that was asked for (RFC 9110), read in a thread a piece at a time.

One range a request: whoever asks for several gets the whole file, as the RFC allows.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import Response
from fastapi.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_PIECE: Final = 1 << 16
_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_PARTIAL, _NOT_SATISFIABLE = 206, 416


class Span(NamedTuple):
    """Bytes from `start` up to, and without, `end`."""

    start: int
    end: int


def span_of(header: str | None, size: int) -> Span | None:
    """The bytes that a Range header asks for; all where it is none of ours; None where there are none of these."""
    asked = _RANGE.fullmatch(header.strip()) if header else None
    if asked is None or asked[0] == "bytes=-":
        return Span(0, size)
    first, last = asked.groups()
    if not first:
        length = min(int(last), size)
        return Span(size - length, size) if length else None
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < int(first):
        return Span(0, size)  # no range at all
    return Span(start, end) if start < size else None


def file_response(
    path: Path, size: int, *, media_type: str, etag: str, headers: Mapping[str, str], is_head: bool = False
) -> Response:
    """The answer to a request with these headers (by their lower-case names). The file must be there, and not change."""
    told = {"accept-ranges": "bytes", "etag": etag, "cache-control": "private", "x-content-type-options": "nosniff"}
    if _matches(headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=told)
    may = headers.get("if-range") in {None, etag}
    span = span_of(headers.get("range") if may and not is_head else None, size)
    if span is None:
        return Response(status_code=_NOT_SATISFIABLE, headers={**told, "content-range": f"bytes */{size}"})
    told["content-length"] = str(span.end - span.start)
    status = 200
    if span != Span(0, size) or (may and not is_head and _is_ranged(headers.get("range"))):
        status = _PARTIAL
        told["content-range"] = f"bytes {span.start}-{span.end - 1}/{size}"
    if is_head:
        return Response(status_code=status, headers=told, media_type=media_type)
    return StreamingResponse(_pieces(path, span), status_code=status, headers=told, media_type=media_type)


def _is_ranged(header: str | None) -> bool:
    """Whether it asks for one range, were it that of all bytes."""
    asked = _RANGE.fullmatch(header.strip()) if header else None
    if asked is None or asked[0] == "bytes=-":
        return False
    first, last = asked.groups()
    return not (first and last and int(last) < int(first))


def _matches(header: str | None, etag: str) -> bool:
    return header is not None and (
        header.strip() == "*" or etag in {each.strip().removeprefix("W/") for each in header.split(",")}
    )


async def _pieces(path: Path, span: Span) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, span.start)
        left = span.end - span.start
        while left > 0 and (piece := await asyncio.to_thread(file.read, min(_PIECE, left))):
            left -= len(piece)
            yield piece
    finally:
        await asyncio.to_thread(file.close)
