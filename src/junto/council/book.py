"""All templates that can be convened at one moment: those that come with Junto, files over them, stored ones over both. Immutable."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import UnknownModel
from junto.core.near import did_you_mean
from junto.council.model import PREFIX, Template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LATEST = ":latest"


class Source(StrEnum):
    """Where a template comes from."""

    BUILTIN = "builtin"
    FILE = "file"
    STORED = "stored"


class Entry(msgspec.Struct, frozen=True):
    """A template in force, and where it comes from; `covers` is where another one of its name does, which it goes before."""

    template: Template
    source: Source
    covers: Source | None = None


class TemplateBook(msgspec.Struct, frozen=True, eq=False):
    """Templates by name, in the order of their names."""

    _entries: Mapping[str, Entry] = {}

    @classmethod
    def of(
        cls, builtin: Iterable[Template], files: Iterable[Template] = (), stored: Iterable[Template] = ()
    ) -> TemplateBook:
        """The book of these; of those with one name the last kind counts."""
        shelves = ((Source.BUILTIN, builtin), (Source.FILE, files), (Source.STORED, stored))
        entries: dict[str, Entry] = {}
        for source, templates in shelves:
            for one in templates:
                covered = entries.get(one.name)
                entries[one.name] = Entry(one, source, None if covered is None else covered.source)
        return cls(dict(sorted(entries.items())))

    def find(self, name: str) -> Entry | None:
        """The template of that name, with or without `council/` before it."""
        return self._entries.get(name.removeprefix(PREFIX).removesuffix(_LATEST))

    def get(self, name: str) -> Template:
        """The same; raises UnknownModel, which lists near names."""
        entry = self.find(name)
        if entry is None:
            plain = name.removeprefix(PREFIX)
            raise UnknownModel(
                f"There is no council {plain[:100]!r} here.{did_you_mean(plain, self._entries)}", param="model"
            )
        return entry.template

    def names(self) -> tuple[str, ...]:
        """All names, without `council/`."""
        return tuple(self._entries)

    def all(self) -> tuple[Entry, ...]:
        """Everything in it."""
        return tuple(self._entries.values())
