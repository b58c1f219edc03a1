"""The name of the secret that a database's bodies are encrypted under, kept in the database itself.

A process with another secret, or with none, would take jobs that it cannot read, so it is refused at its start. The name is what
sealed bodies carry anyway (storage/sealing.py); the secret itself is nowhere. Knows no configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from junto.ports.jobs import Status
from junto.storage.schema import SchemaError
from junto.storage.sealing import MARK
from junto.storage.sessions import OPERATOR
from junto.storage.tables.jobs import JOBS
from junto.storage.tables.metadata import MARKERS

if TYPE_CHECKING:
    from junto.storage.sessions import Session, Sessions

MARKER: Final = "secrets_key"
FIX: Final = (
    "Set JUNTO_SECRETS_KEY to the value that it had. If that is lost, or is to be changed:"
    " docs/operations.md, Another JUNTO_SECRETS_KEY."
)
_UNFINISHED: Final = (Status.PENDING.value, Status.RUNNING.value)


class OtherSecret(SchemaError):
    """The process has not the secret that the database's bodies are encrypted under; the message says what to do."""


def objection(kept: str | None, name: str | None) -> str:
    """What is wrong with a process whose secret has that name, on a database that keeps that one; "" when nothing is."""
    if kept is None or kept == name:
        return ""
    here = "JUNTO_SECRETS_KEY is not set here" if name is None else f"the one that is set here is named {name}"
    return f"Jobs and bodies in the database are encrypted under a JUNTO_SECRETS_KEY named {kept}, and {here}."


async def kept_name(sessions: Sessions) -> str | None:
    """The name that the database keeps; None while nothing in it is encrypted."""
    async with sessions.read(OPERATOR) as session:
        return await _kept(session)


async def keep_or_refuse(sessions: Sessions, name: str | None) -> None:
    """Make sure that the database's secret is the one of that name (None: no secret), the first to come being kept.

    Raises OtherSecret.
    """
    kept = await kept_name(sessions)
    if kept is None and name is not None:
        async with sessions.write(OPERATOR) as session:
            into = sqlite.insert if session.connection.dialect.name == "sqlite" else postgresql.insert
            row = {"name": MARKER, "value": name, "since_ms": session.now_ms}
            await session.execute(into(MARKERS).values(row).on_conflict_do_nothing())
            kept = await _kept(session)  # another process may have been first, with another one
    if said := objection(kept, name):
        raise OtherSecret(f"{said} {FIX}")


async def replace(sessions: Sessions, name: str | None) -> tuple[str | None, int]:
    """From now on the secret is the one of that name; the name before, and how many unfinished jobs nobody can read now."""
    async with sessions.write(OPERATOR) as session:
        before = await _kept(session)
        await session.execute(delete(MARKERS).where(MARKERS.c.name == MARKER))
        if name is not None:
            row = {"name": MARKER, "value": name, "since_ms": session.now_ms}
            await session.execute(MARKERS.insert().values(row))
        shut = [JOBS.c.status.in_(_UNFINISHED), JOBS.c.request_codec.contains(MARK, autoescape=True)]
        if name is not None:
            shut.append(~JOBS.c.request_codec.endswith(f"{MARK}{name}", autoescape=True))
        count = await session.execute(select(func.count()).select_from(JOBS).where(*shut))
        return before, int(count.scalar_one())


async def _kept(session: Session) -> str | None:
    found = await session.execute(select(MARKERS.c.value).where(MARKERS.c.name == MARKER))
    return found.scalar_one_or_none()
