"""The counters of what nodes keep copies of: raised with each change, in the change's own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from junto.storage.sessions import OPERATOR
from junto.storage.tables.routes import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.storage.sessions import Session, Sessions


async def bump(session: Session, name: str) -> None:
    """Raise a counter: once the session is committed, every node's copy of `name` counts as old.

    The counter's row stays locked until then, so that no node can see the number without the change.
    """
    insert = sqlite.insert if session.connection.dialect.name == "sqlite" else postgresql.insert
    await session.execute(
        insert(VERSIONS)
        .values(name=name, version=1)
        .on_conflict_do_update(index_elements=[VERSIONS.c.name], set_={"version": VERSIONS.c.version + 1})
    )


async def read_versions(sessions: Sessions) -> Mapping[str, int]:
    """Every counter by its name; one that was never raised is missing."""
    async with sessions.read(OPERATOR) as session:
        found = await session.execute(select(VERSIONS.c.name, VERSIONS.c.version))
        return {row.name: row.version for row in found}
