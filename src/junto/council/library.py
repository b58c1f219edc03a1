"""Administering council templates: stored over those that come with Junto and those of files, and deleted again.

Who may do that is the edge's business. Each change is written to the audit log, by names and never by words, and is in force on
this node when the method returns; the other nodes follow within a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from junto.core.errors import Conflict, InvalidField, NotFound
from junto.core.near import did_you_mean
from junto.council.book import Entry, Source
from junto.council.template import parse_template
from junto.ports.councils import StoredTemplate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.council.book import TemplateBook
    from junto.ports.councils import CouncilStore

_SHOWN = 64


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A template in force, and who saved it and when, where it is a stored one."""

    entry: Entry
    stored: StoredTemplate | None = None


class CouncilLibrary:
    """Saves and deletes templates. `book` is the one in force; `announce` comes back when a change is in it, and tells other nodes."""

    def __init__(
        self, store: CouncilStore, *, book: Callable[[], TemplateBook], announce: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._book = book
        self._announce = announce
        self._log = structlog.get_logger(audit=True)

    async def all(self) -> list[Listed]:
        """Every template in force, by name."""
        stored = {one.name: one for one in await self._store.all()}
        return [_listed(entry, stored.get(entry.template.name)) for entry in self._book().all()]

    async def get(self, name: str) -> Listed:
        """One template in force; raises NotFound, with near names."""
        entry = self._book().find(name)
        if entry is None:
            raise self._missing(name)
        is_stored = entry.source is Source.STORED
        return _listed(entry, await self._store.find(entry.template.name) if is_stored else None)

    async def save(self, name: str, document: object, *, author: str) -> Listed:
        """Store a template under a name, over whatever is there; raises InvalidField, with everything that is wrong."""
        parse_template(document, name)
        try:
            encoded = msgspec.json.encode(document)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidField("The template cannot be stored as JSON.") from error
        await self._store.save(StoredTemplate(name=name, document=encoded, author=author))
        await self._tell("council_template.saved", name, author)
        return await self.get(name)

    async def delete(self, name: str, *, author: str) -> Listed | None:
        """Delete a stored template; what is in force under its name now, if anything is.

        Raises NotFound, with near names, and Conflict for one that is not stored: there is nothing to delete it from.
        """
        entry = self._book().find(name)
        if entry is None:
            raise self._missing(name)
        plain = entry.template.name
        if await self._store.delete(plain):
            await self._tell("council_template.deleted", plain, author)
            left = self._book().find(plain)
            return None if left is None else _listed(left, None)
        if entry.source is Source.BUILTIN:
            raise Conflict(
                f"The council {plain} comes with Junto and cannot be deleted, only stored over.", param="name"
            )
        if entry.source is Source.FILE:
            raise Conflict(f"The council {plain} is a file in the folder of councils: delete it there.", param="name")
        raise self._missing(name)  # another node has just deleted it

    async def _tell(self, event: str, name: str, author: str) -> None:
        self._log.info(event, template=name, author=author)
        await self._announce()

    def _missing(self, name: str) -> NotFound:
        hint = did_you_mean(name, self._book().names())
        return NotFound(f"There is no council {name[:_SHOWN]!r}.{hint}")


def _listed(entry: Entry, stored: StoredTemplate | None) -> Listed:
    return Listed(entry=entry, stored=stored if entry.source is Source.STORED else None)
