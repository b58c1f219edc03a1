"""`junto migrate`: bring the database to this Junto's schema. Run it once, before the first of the new nodes is started."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

from junto.cli.configuration import load_or_exit
from junto.cli.options import ConfigOption
from junto.cli.output import fail

if TYPE_CHECKING:
    from junto.settings.model import Settings


def migrate(
    config: ConfigOption = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if there is something to do.")
    ] = False,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url", help="Another one than the configuration names; better in DATABASE_URL, with a password."
        ),
    ] = None,
) -> None:
    """Bring the database's schema up to date."""
    from junto.core.errors import Overloaded
    from junto.settings.model import ServeOptions
    from junto.storage.away import why
    from junto.storage.lock import DataDirInUse
    from junto.storage.schema import SchemaError

    environ = os.environ if database_url is None else {**os.environ, "DATABASE_URL": database_url}
    settings = load_or_exit(config, ServeOptions(), environ)
    try:
        typer.echo(asyncio.run(_run(settings, check=check)))
    except (DataDirInUse, SchemaError) as refused:
        fail(str(refused))
    except Overloaded as away:
        fail(f"The database does not answer: {why(away)}")


async def _run(settings: Settings, *, check: bool) -> str:
    from junto.bootstrap.storage import database_of, locked
    from junto.storage.schema import HEAD, Migrated

    database = database_of(settings)
    try:
        if check:
            await database.look()
            return f"The database is up to date (revision {HEAD})."
        if not database.is_file:
            done = await database.migrate()
        else:
            with locked(settings, database):
                done = await database.migrate()
    finally:
        await database.close()
    match done:
        case Migrated.MADE:
            return f"The tables were made (revision {HEAD})."
        case Migrated.UPGRADED:
            return f"The database was upgraded to revision {HEAD}."
        case Migrated.NOTHING:
            return f"The database is up to date (revision {HEAD})."
