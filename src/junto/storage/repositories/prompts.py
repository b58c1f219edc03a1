"""Prompt templates in the database, every save a row of its own.

A save raises the counter of the nodes' copies first: its lock makes savers take turns, so that none counts on from an old row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, insert, select

from junto.core.errors import Conflict
from junto.ports.prompts import PromptVersion
from junto.storage.repositories.versions import bump
from junto.storage.sessions import OPERATOR
from junto.storage.tables.routes import PROMPT_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select

    from junto.ports.prompts import NewPrompt
    from junto.storage.sessions import Session, Sessions

PROMPTS_VERSION: Final = "prompts"
FILE: Final = "file"


class StoredPrompts:
    """Implements ports.prompts.PromptStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def in_force(self) -> list[PromptVersion]:
        async with self._sessions.read(OPERATOR) as session:
            rows = await session.execute(_newest().where(PROMPT_VERSIONS.c.deleted == 0))
            return [_version(row) for row in rows.mappings()]

    async def find(self, client_id: str, task_type: str, version: int | None = None) -> PromptVersion | None:
        asked = _versions(client_id, task_type).limit(1)
        if version is not None:
            asked = asked.where(PROMPT_VERSIONS.c.version == version)
        async with self._sessions.read(OPERATOR) as session:
            return next(iter(await _found(session, asked)), None)

    async def history(self, client_id: str, task_type: str, *, before: int | None, limit: int) -> list[PromptVersion]:
        asked = _versions(client_id, task_type).limit(limit)
        if before is not None:
            asked = asked.where(PROMPT_VERSIONS.c.version < before)
        async with self._sessions.read(OPERATOR) as session:
            return await _found(session, asked)

    async def save(self, prompt: NewPrompt, *, author: str, expected: int | None) -> PromptVersion:
        async with self._sessions.write(OPERATOR) as session:
            await bump(session, PROMPTS_VERSION)
            last = await _last(session, prompt.client_id, prompt.task_type)
            number = last.version if last is not None else 0
            if expected is not None and expected != number:
                raise Conflict(f"The prompt is at version {number}, not {expected}.", param="version")
            return await _add(session, prompt, number + 1, author)

    async def imported(self, files: Sequence[NewPrompt], *, author: str) -> list[PromptVersion]:
        async with self._sessions.read(OPERATOR) as session:
            changed = await _changed(session, files)
        if not changed:
            return []
        async with self._sessions.write(OPERATOR) as session:
            await bump(session, PROMPTS_VERSION)
            added = []
            for file in await _changed(session, changed):  # another node may have been faster
                last = await _last(session, file.client_id, file.task_type)
                added.append(await _add(session, file, 1 if last is None else last.version + 1, author))
            return added


async def _changed(session: Session, files: Sequence[NewPrompt]) -> list[NewPrompt]:
    """The files that are not what their templates were last imported from; an edit since then does not count."""
    rows = await session.execute(_newest(PROMPT_VERSIONS.c.source == FILE))
    known = {(row["client_id"], row["task_type"]): row["git_hash"] for row in rows.mappings()}
    return [file for file in files if known.get((file.client_id, file.task_type)) != file.git_hash]


async def _add(session: Session, prompt: NewPrompt, version: int, author: str) -> PromptVersion:
    await session.execute(
        insert(PROMPT_VERSIONS).values(
            client_id=prompt.client_id,
            task_type=prompt.task_type,
            version=version,
            body=prompt.body,
            source=prompt.source,
            git_hash=prompt.git_hash,
            deleted=int(prompt.deleted),
            author=author,
            created_ms=session.now_ms,
        )
    )
    (saved,) = await _found(session, _versions(prompt.client_id, prompt.task_type).limit(1))
    return saved


async def _last(session: Session, client_id: str, task_type: str) -> PromptVersion | None:
    return next(iter(await _found(session, _versions(client_id, task_type).limit(1))), None)


def _newest(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The newest version of each template, among those that the conditions hold for."""
    table = PROMPT_VERSIONS
    key = (table.c.client_id, table.c.task_type)
    last = select(*key, func.max(table.c.version).label("version")).where(*conditions).group_by(*key).subquery()
    same = and_(*(table.c[name] == last.c[name] for name in ("client_id", "task_type", "version")))
    return select(table).join(last, same).order_by(*key)


def _versions(client_id: str, task_type: str) -> Select[Any]:
    table = PROMPT_VERSIONS
    return (
        select(table)
        .where(table.c.client_id == client_id, table.c.task_type == task_type)
        .order_by(table.c.version.desc())
    )


async def _found(session: Session, asked: Select[Any]) -> list[PromptVersion]:
    return [_version(row) for row in (await session.execute(asked)).mappings()]


def _version(row: RowMapping) -> PromptVersion:
    return PromptVersion(
        client_id=row["client_id"],
        task_type=row["task_type"],
        version=row["version"],
        body=row["body"],
        source=row["source"],
        git_hash=row["git_hash"],
        deleted=bool(row["deleted"]),
        author=row["author"],
        created_ms=row["created_ms"],
    )
