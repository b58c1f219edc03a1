"""What a caller would rather have, by its Accept header. Pure."""

from __future__ import annotations

import re

_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_MOST_RANGES = 32


def quality(accept: str | None, media_type: str) -> float:
    """How much that media type is wanted, 0 to 1: by the most specific range that names it. No header wants everything."""
    if accept is None or not accept.strip():
        return 1.0
    wanted = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    best = (len(wanted), 0.0)
    for part in accept.split(",")[:_MOST_RANGES]:
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in wanted:
            best = min(best, (wanted.index(name), _quality(parameters)), key=lambda found: found[0])
    return best[1]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return 1.0
