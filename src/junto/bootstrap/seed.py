"""Reads seed files: the tenants, clients and routes that a new Junto begins with. What of it is there already, others decide.

The fields of each entry are those that the API takes, and the API checks them; here only the shape of the file is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from junto.core.document import MAX_CHARACTERS, ConfigError, ConfigErrors, read
from junto.core.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from junto.core.document import Document

type Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededClients:
    """Bodies for POST /tenants and POST /clients."""

    tenants: Sequence[Body] = ()
    clients: Sequence[Body] = ()


def read_clients(file: Path) -> SeededClients:
    """The clients in a file; raises ConfigErrors with everything that is wrong with its shape."""
    document, value = _mapping(file, {"tenants", "clients"})
    tenants, wrong_tenants = _named(document, "tenants", value.get("tenants"))
    clients, wrong_clients = _named(document, "clients", value.get("clients"))
    errors = [*wrong_tenants, *wrong_clients]
    if errors:
        raise ConfigErrors(errors, str(file))
    return SeededClients(tenants=tenants, clients=clients)


def read_routes(file: Path) -> dict[str, Body]:
    """The routes in a file, by task type; raises ConfigErrors."""
    document, value = _mapping(file, {"routes"})
    routes = value.get("routes") or {}
    if not isinstance(routes, dict):
        message = "Routes are a mapping of task types: {email_classification: {preferred_model: fast, ...}}."
        raise ConfigErrors([document.error(("routes",), message)], str(file))
    errors = [
        document.error(("routes", name), "A route is a mapping: {preferred_model: ..., sensitivity: ...}.")
        for name, route in routes.items()
        if not isinstance(route, dict)
    ]
    if errors:
        raise ConfigErrors(errors, str(file))
    return routes


def _mapping(file: Path, known: set[str]) -> tuple[Document, dict[str, Any]]:
    try:
        with file.open("rb") as opened:
            document = read(opened.read(4 * MAX_CHARACTERS + 1).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigErrors([ConfigError("", None, f"The file cannot be read: {error.strerror}.")], str(file)) from None
    except UnicodeDecodeError:
        raise ConfigErrors([ConfigError("", None, "The file is not UTF-8 text.")], str(file)) from None
    except ConfigErrors as error:
        raise ConfigErrors(error.errors, str(file)) from None
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ConfigErrors([document.error((), f"The file is a mapping of {' and '.join(sorted(known))}.")], str(file))
    errors = [
        document.error((key,), f"There is no key {str(key)[:80]!r} here.{did_you_mean(str(key), known)}")
        for key in value
        if key not in known
    ]
    if errors:
        raise ConfigErrors(errors, str(file))
    return document, value


def _named(document: Document, key: str, value: Any) -> tuple[list[Body], list[ConfigError]]:
    """A list of mappings that have different names, and what is wrong with it."""
    if value is None:
        return [], []
    if not isinstance(value, list):
        return [], [document.error((key,), f"{key} is a list: `- {{name: ...}}`.")]
    errors, seen = [], set()
    for index, entry in enumerate(value):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            errors.append(document.error((key, index), "An entry is a mapping with a `name`."))
            continue
        owner = (name, entry.get("tenant"))
        if owner in seen:
            errors.append(document.error((key, index), f"{name} is there twice."))
        seen.add(owner)
    return value, errors
