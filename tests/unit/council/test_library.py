"""Council templates, administered: what is stored goes before what is given, and what is given cannot be deleted."""

from __future__ import annotations

from typing import Any

import pytest

from junto.core.errors import Conflict, InvalidField, NotFound
from junto.council.book import Source, TemplateBook
from junto.council.library import CouncilLibrary
from junto.council.model import Template
from junto.council.stored import load_stored
from junto.council.template import parse_template
from junto.ports.councils import StoredTemplate

pytestmark = pytest.mark.anyio

DEBATE: dict[str, Any] = {"members": [{"name": "A", "persona": "For."}, {"name": "B", "persona": "Against."}]}
ALONE: dict[str, Any] = {"members": [{"name": "A", "persona": "For."}]}


class Cupboard:
    """A store in memory, and the book that is made of it whenever a change is announced."""

    def __init__(self) -> None:
        self.rows: dict[str, StoredTemplate] = {}
        self.book = TemplateBook()
        self.announced = 0
        self.library = CouncilLibrary(self, book=lambda: self.book, announce=self.announce)
        self.take(())

    async def all(self) -> list[StoredTemplate]:
        return [self.rows[name] for name in sorted(self.rows)]

    async def find(self, name: str) -> StoredTemplate | None:
        return self.rows.get(name)

    async def save(self, template: StoredTemplate) -> StoredTemplate:
        self.rows[template.name] = template
        return template

    async def delete(self, name: str) -> bool:
        return self.rows.pop(name, None) is not None

    async def announce(self) -> None:
        self.announced += 1
        await load_stored(self, self.take)

    def take(self, stored: Any) -> None:
        builtin: list[Template] = [parse_template(DEBATE, "debate")]
        files: list[Template] = [parse_template(DEBATE, "hiring")]
        self.book = TemplateBook.of(builtin, files, stored)


async def test_a_stored_template_is_in_force_and_says_who_saved_it() -> None:
    cupboard = Cupboard()
    saved = await cupboard.library.save("mine", ALONE, author="admin")
    assert (saved.entry.source, saved.entry.covers) == (Source.STORED, None)
    assert saved.stored is not None
    assert saved.stored.author == "admin"
    assert [one.entry.template.name for one in await cupboard.library.all()] == ["debate", "hiring", "mine"]
    assert await cupboard.library.delete("mine", author="admin") is None
    assert cupboard.announced == 2
    with pytest.raises(NotFound):
        await cupboard.library.get("mine")


@pytest.mark.parametrize(("name", "source"), [("debate", Source.BUILTIN), ("hiring", Source.FILE)])
async def test_what_was_stored_over_comes_back(name: str, source: Source) -> None:
    cupboard = Cupboard()
    saved = await cupboard.library.save(name, ALONE, author="admin")
    assert (saved.entry.source, saved.entry.covers) == (Source.STORED, source)
    restored = await cupboard.library.delete(name, author="admin")
    assert restored is not None
    assert (restored.entry.source, restored.entry.covers, restored.stored) == (source, None, None)
    assert len(restored.entry.template.members) == 2


@pytest.mark.parametrize(("name", "why"), [("debate", "comes with Junto"), ("hiring", "is a file")])
async def test_what_is_not_stored_cannot_be_deleted(name: str, why: str) -> None:
    cupboard = Cupboard()
    with pytest.raises(Conflict, match=why):
        await cupboard.library.delete(name, author="admin")
    assert cupboard.announced == 0


async def test_an_unknown_name_is_told_with_near_ones() -> None:
    cupboard = Cupboard()
    with pytest.raises(NotFound, match="Did you mean debate"):
        await cupboard.library.get("debat")
    with pytest.raises(NotFound, match="Did you mean hiring"):
        await cupboard.library.delete("hirin", author="admin")


@pytest.mark.parametrize("document", [{}, [], None, "text", {"members": []}, {**ALONE, "quorum": 2}])
async def test_what_is_no_template_is_not_stored(document: Any) -> None:
    cupboard = Cupboard()
    with pytest.raises(InvalidField):
        await cupboard.library.save("mine", document, author="admin")
    assert (cupboard.rows, cupboard.announced) == ({}, 0)


@pytest.mark.parametrize("document", [b'{"members":[]}', b'{"members":', b"[]"])
async def test_what_another_version_stored_and_this_one_cannot_read_is_passed_over(document: bytes) -> None:
    cupboard = Cupboard()
    await cupboard.library.save("mine", ALONE, author="admin")
    cupboard.rows["debate"] = StoredTemplate(name="debate", document=document)
    await cupboard.announce()
    assert cupboard.book.names() == ("debate", "hiring", "mine")
    entry = cupboard.book.find("debate")
    assert entry is not None
    assert entry.source is Source.BUILTIN
