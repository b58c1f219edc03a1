"""Which revision of the schema a database has, and bringing it to this Junto's. The steps themselves are in migrations/.

Steps only add: the code of the revision before goes on working beside them, so that nodes are upgraded one after another. What
is no longer used is taken away one release later, and such a step raises `schema_version`: the oldest code that may still
work on the database. There is no way back but a backup.
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, MetaData, String, Table, func, insert, inspect, select, text, true
from sqlalchemy.exc import DBAPIError

from junto.storage.tables import METADATA
from junto.storage.tables.exchanges import EXCHANGES
from junto.storage.tables.identity import TENANTS
from junto.storage.tables.metadata import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

VERSION: Final = 1
"""What this code counts as against `schema_version`."""
REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
HEAD: Final = REVISIONS[-1]
ROLES: Final = ("junto_app", "junto_operator")
"""What a session on Postgres acts as: for a tenant, and for the operator."""
_NOT_ALLOWED: Final = ("42501", "22023")  # insufficient_privilege; a role that is not there is an invalid value
_LOCK: Final = 0x6A756E746F  # one migration at a time, by whatever node
_STAMP = Table(
    "alembic_version",
    MetaData(naming_convention={"pk": "%(table_name)s_pkc"}),
    Column("version_num", String(32), primary_key=True),
)


class SchemaError(RuntimeError):
    """The database does not fit this Junto; the message says what to do."""


class SchemaTooNew(SchemaError):
    """The database was written by a newer Junto."""


class SchemaTooOld(SchemaError):
    """The database has to be migrated first."""


class NotAllowed(SchemaError):
    """The login has not the rights in Postgres that it needs."""


class Migrated(StrEnum):
    """What a migration did."""

    MADE = "made"
    UPGRADED = "upgraded"
    NOTHING = "nothing"


async def migrate(connection: AsyncConnection) -> Migrated:
    """Bring the schema up to date, all or nothing, within the transaction of the connection.

    Raises SchemaTooNew, and NotAllowed when the login may not do it.
    """
    with _told_when_not_allowed():
        return await _migrate(connection)


async def _migrate(connection: AsyncConnection) -> Migrated:
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))  # a table may be large
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    revision = await _revision(connection)
    await _refuse_newer(connection, revision)
    if revision == HEAD or (revision is not None and revision not in REVISIONS):
        return Migrated.NOTHING  # a newer one that only adds is as good as this code's own
    if is_sqlite:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none for statements that make tables
    if is_sqlite and revision is None:
        await connection.run_sync(_make)
        return Migrated.MADE
    await connection.run_sync(upgrade)
    return Migrated.MADE if revision is None else Migrated.UPGRADED


async def check(connection: AsyncConnection) -> None:
    """Raise SchemaTooNew, SchemaTooOld or NotAllowed unless this code can work on the database, as this login."""
    with _told_when_not_allowed():
        revision = await _revision(connection)
        await _refuse_newer(connection, revision)
        if revision is None or (revision in REVISIONS and revision != HEAD):
            state = (
                "has no tables yet" if revision is None else f"is at revision {revision}, and this Junto needs {HEAD}"
            )
            raise SchemaTooOld(f"The database {state}: run `junto migrate` once.")
        if connection.dialect.name == "postgresql":
            for role in ROLES:
                await connection.execute(select(func.set_config("role", role, true())))


@contextmanager
def _told_when_not_allowed() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _NOT_ALLOWED:
            raise
        raise NotAllowed(
            f"The login of database_url may not do this: {str(error.orig).partition(chr(10))[0]}. `junto migrate` needs a login"
            " that may create tables, and may create roles or is a member of both of Junto's; any other needs to be a member."
            " An administrator can say: CREATE ROLE junto_app NOLOGIN; CREATE ROLE junto_operator NOLOGIN;"
            " GRANT junto_app, junto_operator TO <login>;"
        ) from None


async def _revision(connection: AsyncConnection) -> str | None:
    tables = await connection.run_sync(_tables)
    if _STAMP.name in tables:
        return await connection.scalar(select(_STAMP.c.version_num))
    return REVISIONS[0] if EXCHANGES.name in tables else None  # the first revision was not stamped


async def _refuse_newer(connection: AsyncConnection, revision: str | None) -> None:
    if revision is None:
        return
    oldest = await connection.scalar(select(SCHEMA_VERSION.c.version))
    if oldest is not None and oldest > VERSION:
        raise SchemaTooNew(
            f"The database is of a newer Junto (schema version {oldest}, and this Junto knows {VERSION}): "
            "upgrade Junto, or use another data directory or database."
        )


def _tables(connection: Connection) -> Collection[str]:
    return inspect(connection).get_table_names()


def _make(connection: Connection) -> None:
    """All tables at once, as the steps would have made them: a first start need not wait for Alembic."""
    METADATA.create_all(connection)
    _STAMP.create(connection)
    connection.execute(insert(SCHEMA_VERSION).values(version=VERSION))
    connection.execute(insert(_STAMP).values(version_num=HEAD))
    connection.execute(
        insert(TENANTS).values(id="default", name="default", enabled=1, notes="", created_ms=0, updated_ms=0)
    )


def upgrade(connection: Connection, *, to: str = "head") -> None:
    """Take the steps up to that revision, on a connection that has begun a transaction."""
    # Imported when it is needed: it takes a tenth of a second, and nearly every start finds nothing to do.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    if _STAMP.name not in _tables(connection) and EXCHANGES.name in _tables(connection):
        command.stamp(config, REVISIONS[0])
    command.upgrade(config, to)
