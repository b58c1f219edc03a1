"""Administering prompt templates: saved, deleted, rolled back, imported from files.

Who may do that is the edge's business. Each change is written to the audit log, by names and never by words, and is in force on
this node when the method returns; the other nodes follow within a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from junto.core.errors import NotFound
from junto.core.near import did_you_mean
from junto.ports.prompts import NewPrompt
from junto.prompts.template import check_body
from junto.routing.routes import check_task_type

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from junto.ports.prompts import PromptStore, PromptVersion

_SHOWN = 100


class PromptLibrary:
    """Saves templates. `announce` comes back when this node knows of a change, and tells the others."""

    def __init__(self, store: PromptStore, *, announce: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._announce = announce
        self._log = structlog.get_logger(audit=True)

    async def all(self) -> list[PromptVersion]:
        """Every template in force: the shared ones first, then by client."""
        return await self._store.in_force()

    async def get(self, client_id: str, task_type: str, version: int | None = None) -> PromptVersion:
        """That version of a template, else the newest one; raises NotFound, for one that was deleted too."""
        found = await self._store.find(client_id, check_task_type(task_type), version)
        if found is None or found.deleted:
            raise await self._missing(client_id, task_type, version)
        return found

    async def history(self, client_id: str, task_type: str, *, before: int | None, limit: int) -> list[PromptVersion]:
        """A page of versions, newest first; raises NotFound for a template that never was."""
        found = await self._store.history(client_id, check_task_type(task_type), before=before, limit=limit)
        if not found and before is None:
            raise await self._missing(client_id, task_type, None)
        return found

    async def save(self, prompt: NewPrompt, *, author: str, expected: int | None) -> PromptVersion:
        """A new version; raises InvalidField, and Conflict unless `expected` is the newest version so far."""
        check_task_type(prompt.task_type)
        check_body(prompt.body)
        saved = await self._store.save(prompt, author=author, expected=expected)
        await self._tell("prompt.saved", saved)
        return saved

    async def delete(
        self, client_id: str, task_type: str, *, author: str, source: str, expected: int | None
    ) -> PromptVersion:
        """Delete a template, which is a version too; raises NotFound, Conflict."""
        await self.get(client_id, task_type)
        gone = NewPrompt(client_id=client_id, task_type=task_type, body="", source=source, deleted=True)
        deleted = await self._store.save(gone, author=author, expected=expected)
        await self._tell("prompt.deleted", deleted)
        return deleted

    async def roll_back(
        self, client_id: str, task_type: str, version: int, *, author: str, source: str, expected: int | None
    ) -> PromptVersion:
        """Put an earlier version in force again, as a new one; raises NotFound, Conflict."""
        old = await self._store.find(client_id, check_task_type(task_type), version)
        if old is None:
            raise await self._missing(client_id, task_type, version)
        again = NewPrompt(
            client_id=client_id,
            task_type=task_type,
            body=old.body,
            source=source,
            git_hash=old.git_hash,
            deleted=old.deleted,
        )
        saved = await self._store.save(again, author=author, expected=expected)
        await self._tell("prompt.rolled_back", saved, to=version)
        return saved

    async def take_in(self, files: Sequence[NewPrompt]) -> list[PromptVersion]:
        """Import what has changed among checked files."""
        added = await self._store.imported(files, author="file")
        for one in added:
            self._say("prompt.imported", one)
        if added:
            await self._announce()
        return added

    async def _tell(self, event: str, saved: PromptVersion, **more: int) -> None:
        self._say(event, saved, **more)
        await self._announce()

    def _say(self, event: str, saved: PromptVersion, **more: int) -> None:
        self._log.info(
            event,
            client_id=saved.client_id or None,
            task_type=saved.task_type,
            version=saved.version,
            source=saved.source,
            author=saved.author,
            **more,
        )

    async def _missing(self, client_id: str, task_type: str, version: int | None) -> NotFound:
        whose = f"The client {client_id} has no prompt" if client_id else "There is no shared prompt"
        which = "" if version is None else f" of version {version}"
        known = {one.task_type for one in await self._store.in_force() if one.client_id == client_id}
        hint = did_you_mean(task_type, known - {task_type})
        return NotFound(f"{whose} for the task type {task_type[:_SHOWN]!r}{which}.{hint}")
