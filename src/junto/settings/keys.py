"""The names of all keys that a file may hold, read off the models: for suggestions, and for the test of the documentation."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAliasType, Union, get_args, get_origin

from pydantic import BaseModel

from junto.settings.model import FileSettings

if TYPE_CHECKING:
    from junto.core.document import Path


def keys_at(path: Path) -> list[str]:
    """The keys that are known inside the value at that path; none where names are free."""
    kind: Any = FileSettings
    for step in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(step))
            kind = _unwrapped(field.annotation) if field else None
        else:
            kind = _item(kind)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def all_keys() -> list[str]:
    """Every key as it is documented: `server.port`, `backends[].name`, `groups.*.members[].weight`."""
    return list(_walk(FileSettings, ""))


def _walk(kind: Any, prefix: str) -> Iterator[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            path = f"{prefix}.{name}" if prefix else name
            yield path
            yield from _walk(_unwrapped(field.annotation), path)
    elif get_origin(kind) is tuple:
        yield from _walk(_item(kind), f"{prefix}[]")
    elif get_origin(kind) is Mapping and isinstance(_item(kind), type) and issubclass(_item(kind), BaseModel):
        yield from _walk(_item(kind), f"{prefix}.*")


def _item(kind: Any) -> Any:
    """What a list or a mapping holds."""
    if get_origin(kind) is tuple:
        return _unwrapped(get_args(kind)[0])
    if get_origin(kind) is Mapping:
        return _unwrapped(get_args(kind)[1])
    return None


def _unwrapped(kind: Any) -> Any:
    """The type without its annotations, aliases and `| None`."""
    if isinstance(kind, TypeAliasType):
        return _unwrapped(kind.__value__)
    if get_origin(kind) is Annotated:
        return _unwrapped(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return _unwrapped(next(one for one in get_args(kind) if one is not types.NoneType))
    return kind
