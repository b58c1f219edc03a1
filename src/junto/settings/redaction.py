"""Settings as plain values for people to read: secrets masked, in the order of the keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from junto.core.secret import MASK, Secret

if TYPE_CHECKING:
    from junto.settings.model import Settings


def redact(settings: Settings) -> dict[str, Any]:
    """Every setting in force, ready for JSON or YAML; an address keeps its host and loses its user and password."""
    plain = _plain(settings)
    return {key: value for key, value in plain.items() if key != "warnings"}


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return _masked(value)
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _masked(secret: Secret) -> str:
    """A key is masked whole; of the address of a store, what is not a user, a password or an option is shown."""
    scheme, found, rest = secret.reveal().partition("://")
    if not found:
        return MASK
    place = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}://{MASK}@{place}" if "@" in rest else f"{scheme}://{place}"
