"""Which revision of the schema a database has, and bringing it to this Junto's. The steps themselves are in migrations/.

Steps only add: the code of the revision before goes on working beside them, so that nodes are upgraded one after another. What
is no longer used is taken away one release later, and such a step raises `schema_version`: the oldest code that may still
work on the database. There is no way back but a backup.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, MetaData, Table, Text, insert, inspect, select, text

from junto.storage.tables import METADATA
from junto.storage.tables.exchanges import EXCHANGES
from junto.storage.tables.identity import TENANTS
from junto.storage.tables.metadata import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

VERSION: Final = 1
"""What this code counts as against `schema_version`."""
REVISIONS: Final = ("0001", "0002", "0003")
HEAD: Final = REVISIONS[-1]
_LOCK: Final = 0x6A756E746F  # one migration at a time, by whatever node
_STAMP = Table("alembic_version", MetaData(), Column("version_num", Text))


class SchemaError(RuntimeError):
    """The database does not fit this Junto; the message says what to do."""


class SchemaTooNew(SchemaError):
    """The database was written by a newer Junto."""


class SchemaTooOld(SchemaError):
    """The database has to be migrated first."""


class Migrated(StrEnum):
    """What a migration did."""

    MADE = "made"
    UPGRADED = "upgraded"
    NOTHING = "nothing"


async def migrate(connection: AsyncConnection) -> Migrated:
    """Bring the schema up to date, all or nothing, within the transaction of the connection; raises SchemaTooNew."""
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
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
    """Raise SchemaTooNew or SchemaTooOld unless this code can work on the database."""
    revision = await _revision(connection)
    await _refuse_newer(connection, revision)
    if revision is None or (revision in REVISIONS and revision != HEAD):
        state = "has no tables yet" if revision is None else f"is at revision {revision}, and this Junto needs {HEAD}"
        raise SchemaTooOld(f"The database {state}: run `junto migrate` once.")


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
