"""Every field of a good answer taken away, or with a value of a wrong kind in its place. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG: tuple[Any, ...] = (None, -1, 1e30, True, "x", [], {})
GONE = object()
COUNTS: tuple[Any, ...] = (*WRONG, 10**12, 10**40, -(10**40), 0.5, "7", [7], {"n": 7}, False)

type Path = tuple[str | int, ...]


def paths(value: Any, before: Path = ()) -> Iterator[Path]:
    """Every place inside a value."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        yield (*before, key)
        yield from paths(inner, (*before, key))


def replaced(value: Any, path: Path, wrong: Any) -> Any:
    """The value with something else at that place, or with nothing there."""
    if not path:
        return wrong
    key, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if not rest and wrong is GONE:
        del copy[key]
    else:
        copy[key] = replaced(copy[key], tuple(rest), wrong)
    return copy


def spoilt(value: Any) -> Iterator[tuple[str, Any]]:
    """Every way to spoil one field, with a name for it."""
    for path in paths(value):
        for wrong in (*WRONG, GONE):
            yield f"{'.'.join(map(str, path))}={'gone' if wrong is GONE else repr(wrong)}", replaced(value, path, wrong)
