"""From plain data to FileSettings, with every violation as a ConfigError in people's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from junto.core.near import did_you_mean
from junto.settings.fields import Interpolated
from junto.settings.keys import keys_at
from junto.settings.model import FileSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

    from junto.core.document import Path

_WORDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "missing": "is needed, and missing",
    "model_type": "must be a mapping of keys",
    "mapping_type": "must be a mapping of keys",
    "dict_type": "must be a mapping of keys",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
}
_BOUNDS = {
    "greater_than": ("gt", "must be above"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be below"),
    "less_than_equal": ("le", "must be at most"),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong, at a path into the data; or, if `origin` is set, in what it names (a variable, an option)."""

    path: Path
    message: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read: `settings` without the parts that are wrong (None if nothing is left to go by).

    `indices` tells which of the file's backends the settings' are.
    """

    settings: FileSettings | None
    indices: tuple[int, ...]
    violations: tuple[Violation, ...]


def read_settings(data: Mapping[str, Any]) -> Reading:
    """Validate plain data; what is sound in it is kept, so that it can be checked further in the same go."""
    backends = data.get("backends")
    everything = tuple(range(len(backends))) if isinstance(backends, list) else ()
    try:
        return Reading(FileSettings.model_validate(dict(data)), everything, ())
    except ValidationError as error:
        violations = _violations(error.errors(include_url=False, include_input=True))
    rest, indices = _without(data, {violation.path[:2] for violation in violations})
    try:
        settings = FileSettings.model_validate(rest)
    except ValidationError:  # pragma: no cover - what remains was valid before
        settings = None
    return Reading(settings, indices, violations)


def _without(data: Mapping[str, Any], wrong: set[Path]) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The data without its wrong parts: a backend, a group, a rule, a key of a section, or the whole of it."""
    rest: dict[str, Any] = {}
    indices: tuple[int, ...] = ()
    for key, value in data.items():
        if (key,) in wrong:
            continue
        if isinstance(value, list):
            indices = tuple(index for index in range(len(value)) if (key, index) not in wrong)
            rest[key] = [value[index] for index in indices]
        elif isinstance(value, dict):
            rest[key] = {name: part for name, part in value.items() if (key, name) not in wrong}
        else:
            rest[key] = value
    return rest, indices


def _violations(errors: Sequence[ErrorDetails]) -> tuple[Violation, ...]:
    paths = [_path(error) for error in errors]
    found = []
    for error, path in zip(errors, paths, strict=True):
        inner = any(other[: len(path)] == path and len(other) > len(path) for other in paths)
        if error["type"] == "too_short" and inner:
            continue  # it is short only because its items are wrong, and those are named
        found.append(Violation(path, _message(error, path)))
    return tuple(dict.fromkeys(found))


def _path(error: ErrorDetails) -> Path:
    """Where in the data: pydantic's marks for a mapping's key are left out."""
    return tuple(step for step in error["loc"] if step != "[key]")


def _message(error: ErrorDetails, path: Path) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"There is no such key.{did_you_mean(str(path[-1]), keys_at(path[:-1]))}"
    if kind == "literal_error":
        return f"must be {context['expected']}{_shown(error['input'])}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {context[name]}{_shown(error['input'])}"
    return _WORDS.get(kind, error["msg"])


def _shown(value: Any) -> str:
    """What was written, if it is short and came from the file itself; a variable's content is never shown."""
    if isinstance(value, Interpolated) or not isinstance(value, str | int | float):
        return ""
    return f", not {str(value)[:40]}"
