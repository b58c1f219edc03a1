"""YAML that an operator wrote, read safely: plain values, the line of each, and every error with its path and line.

Owns the syntax only: what the keys mean is decided by settings and by catalog/prices.py. Does no I/O.
Scalars are read as YAML 1.2 reads them (`on`, `no` and `2025-01-01` are text). Tags are refused, duplicate keys
are refused, aliases and `<<` work, and size, depth and expansion are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

type Path = tuple[str | int, ...]
"""Keys and indices from the root: ("backends", 1, "priority")."""

MAX_CHARACTERS = 1_048_576
MAX_DEPTH = 40
MAX_VALUES = 50_000  # after aliases are expanded

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,18}|[0-9]{1,18}(?:\.[0-9]{0,18})?)(?:[eE][-+]?[0-9]{1,2})?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MERGE = "<<"


@dataclass(frozen=True, slots=True, order=True)
class ConfigError:
    """One thing wrong in a file: where (`backends[1].priority`), on which line (from 1, None if nowhere), and what."""

    path: str
    line: int | None
    message: str

    def __str__(self) -> str:
        at = "" if self.line is None else f"line {self.line}: "
        return f"{at}{self.path}: {self.message}" if self.path else f"{at}{self.message}"


class ConfigErrors(Exception):
    """Everything that is wrong in a file, in the order of its lines. `source` names the file for people."""

    def __init__(self, errors: Sequence[ConfigError], source: str = "") -> None:
        self.errors = sorted(errors, key=lambda error: (error.line or 0, error.path))
        self.source = source
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """A line for each error: file, line, path, what is wrong."""
        return [f"{self.source}: {error}" if self.source else str(error) for error in self.errors]


@dataclass(slots=True)
class _Node:
    """A value with its line; `children` mirror its items, `size` counts the values in it."""

    value: Any
    line: int
    children: dict[str | int, _Node] = field(default_factory=dict)
    size: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A file's plain value (None when it is empty), and where each part of it was written."""

    value: Any
    _root: _Node | None

    def line(self, path: Path) -> int | None:
        """The line (from 1) of the value at that path, or of the nearest thing around it that exists."""
        node = self._root
        if node is None:
            return None
        for key in path:
            inner = node.children.get(key)
            if inner is None:
                break
            node = inner
        return node.line

    def error(self, path: Path, message: str) -> ConfigError:
        """An error at that path, with its line."""
        return ConfigError(path_text(path), self.line(path), message)


def path_text(path: Path) -> str:
    """The path as people write it: `backends[1].priority`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def read(text: str) -> Document:
    """The document in that text; raises ConfigErrors with all duplicate keys and tags, or the one error of syntax."""
    if len(text) > MAX_CHARACTERS:
        raise ConfigErrors([ConfigError("", None, f"The file is larger than {MAX_CHARACTERS} characters.")])
    builder = _Builder()
    try:
        root = builder.document(iter(yaml.parse(text, Loader=_parser())))
    except yaml.MarkedYAMLError as error:
        raise ConfigErrors([_syntax_error(error)]) from None
    except yaml.YAMLError as error:
        raise ConfigErrors([ConfigError("", None, f"The file is not YAML text: {error}")]) from None
    if builder.errors:
        raise ConfigErrors(builder.errors)
    return Document(None if root is None else root.value, root)


def _parser() -> Any:
    """The C parser where PyYAML was built with it (20 times faster), else the Python one: the same events."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _syntax_error(error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    what = " ".join(part for part in (error.context, error.problem) if part)
    return ConfigError("", mark.line + 1 if mark else None, f"The file is not YAML: {what}.")


class _Builder:
    """Turns the parser's events into nodes. Recursion is as deep as the document, which MAX_DEPTH bounds."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self._anchors: dict[str, _Node] = {}
        self._values = 0

    def document(self, events: Iterator[Any]) -> _Node | None:
        root: _Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop((), event, "The file holds more than one YAML document.")
                root = self._node(next(events), events, ())
        return root

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        line = event.start_mark.line + 1
        self._values += 1
        self._check_bounds(event, path)
        if event.tag is not None and event.tag != "!":
            self._complain(path, event, "YAML tags are not used here; write the value without one.")
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(_scalar(event), line)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, path)
        else:
            node = self._mapping(event, events, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, path: Path) -> _Node:
        node = self._anchors.get(event.anchor)
        if node is None:  # unknown, or still being built: an alias inside its own anchor
            self._stop(path, event, f"The alias *{event.anchor} does not name a value written above it.")
        self._values += node.size
        self._check_bounds(event, path)
        return node

    def _sequence(self, event: Any, events: Iterator[Any], path: Path) -> _Node:
        node = _Node([], event.start_mark.line + 1)
        for inner in events:
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            index = len(node.value)
            child = self._node(inner, events, (*path, index))
            node.value.append(child.value)
            node.children[index] = child
            node.size += child.size
        return node

    def _mapping(self, event: Any, events: Iterator[Any], path: Path) -> _Node:
        node = _Node({}, event.start_mark.line + 1)
        merged: list[_Node] = []
        for inner in events:
            if isinstance(inner, yaml.MappingEndEvent):
                break
            line = inner.start_mark.line + 1
            key = self._node(inner, events, path).value
            child = self._node(next(events), events, (*path, str(key)[:80]))
            node.size += child.size + 1
            if key == _MERGE:
                merged += self._merged(child, inner, path)
            elif not isinstance(key, str):
                self._complain(path, inner, f"The key {str(key)[:80]!r} is not text; put it in quotes.")
            elif key in node.value:
                self._complain((*path, key), inner, "This key is written twice.")
            else:
                node.value[key] = child.value
                node.children[key] = _Node(child.value, line, child.children, child.size)
        for source in merged:
            for key, child in source.children.items():
                node.value.setdefault(key, child.value)
                node.children.setdefault(key, child)
        return node

    def _merged(self, child: _Node, event: Any, path: Path) -> list[_Node]:
        sources = list(child.children.values()) if isinstance(child.value, list) else [child]
        if all(isinstance(source.value, dict) for source in sources):
            return sources
        self._complain((*path, _MERGE), event, "<< takes a mapping, or a list of mappings.")
        return []

    def _check_bounds(self, event: Any, path: Path) -> None:
        if len(path) > MAX_DEPTH:
            self._stop(path[:3], event, f"The file is nested deeper than {MAX_DEPTH} levels.")
        if self._values > MAX_VALUES:
            self._stop(path[:3], event, f"The file holds more than {MAX_VALUES} values once its aliases are expanded.")

    def _complain(self, path: Path, event: Any, message: str) -> None:
        self.errors.append(ConfigError(path_text(path), event.start_mark.line + 1, message))

    def _stop(self, path: Path, event: Any, message: str) -> NoReturn:
        self._complain(path, event, message)
        raise ConfigErrors(self.errors)


def _scalar(event: Any) -> Any:
    """A scalar as YAML 1.2's core schema reads it; only plain ones can be anything but text."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
