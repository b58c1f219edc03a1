"""Council templates in the database. A change raises the counter of the nodes' copies in its own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from junto.ports.councils import StoredTemplate
from junto.storage.repositories.versions import bump
from junto.storage.sessions import OPERATOR
from junto.storage.tables.councils import COUNCIL_TEMPLATES

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from junto.storage.sessions import Session, Sessions

COUNCILS_VERSION: Final = "councils"


class StoredCouncils:
    """Implements ports.councils.CouncilStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def all(self) -> list[StoredTemplate]:
        async with self._sessions.read(OPERATOR) as session:
            rows = await session.execute(select(COUNCIL_TEMPLATES).order_by(COUNCIL_TEMPLATES.c.name))
            return [_template(row) for row in rows.mappings()]

    async def find(self, name: str) -> StoredTemplate | None:
        async with self._sessions.read(OPERATOR) as session:
            return await _find(session, name)

    async def save(self, template: StoredTemplate) -> StoredTemplate:
        async with self._sessions.write(OPERATOR) as session:
            await bump(session, COUNCILS_VERSION)
            insert = sqlite.insert if session.connection.dialect.name == "sqlite" else postgresql.insert
            changed: dict[str, Any] = {
                "document": template.document.decode(),
                "author": template.author,
                "updated_ms": session.now_ms,
            }
            await session.execute(
                insert(COUNCIL_TEMPLATES)
                .values(name=template.name, created_ms=session.now_ms, **changed)
                .on_conflict_do_update(index_elements=[COUNCIL_TEMPLATES.c.name], set_=changed)
            )
            saved = await _find(session, template.name)
            assert saved is not None  # noqa: S101  it was just written
            return saved

    async def delete(self, name: str) -> bool:
        async with self._sessions.write(OPERATOR) as session:
            await bump(session, COUNCILS_VERSION)
            gone = await session.execute(delete(COUNCIL_TEMPLATES).where(COUNCIL_TEMPLATES.c.name == name))
            return bool(gone.rowcount)


async def _find(session: Session, name: str) -> StoredTemplate | None:
    rows = await session.execute(select(COUNCIL_TEMPLATES).where(COUNCIL_TEMPLATES.c.name == name))
    row = rows.mappings().first()
    return None if row is None else _template(row)


def _template(row: RowMapping) -> StoredTemplate:
    return StoredTemplate(
        name=row["name"],
        document=row["document"].encode(),
        author=row["author"],
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
    )
