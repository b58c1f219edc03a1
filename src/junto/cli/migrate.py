"""`junto migrate`: bring the database to this Junto's schema. Run it once, before the first of the new nodes is started."""

from __future__ import annotations

import asyncio
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
) -> None:
    """Bring the database's schema up to date."""
    from junto.core.errors import Overloaded
    from junto.settings.model import ServeOptions
    from junto.storage.schema import SchemaError

    settings = load_or_exit(config, ServeOptions())
    try:
        typer.echo(asyncio.run(_run(settings, check=check)))
    except SchemaError as refused:
        fail(str(refused))
    except Overloaded:
        fail("The database does not answer: check database_url, and that the server is up.")


async def _run(settings: Settings, *, check: bool) -> str:
    from junto.bootstrap.storage import database_of
    from junto.storage.schema import HEAD, Migrated

    database = database_of(settings)
    try:
        if check:
            await database.look()
            return f"The database is up to date (revision {HEAD})."
        match await database.migrate():
            case Migrated.MADE:
                return f"The tables were made (revision {HEAD})."
            case Migrated.UPGRADED:
                return f"The database was upgraded to revision {HEAD}."
            case Migrated.NOTHING:
                return f"The database is up to date (revision {HEAD})."
    finally:
        await database.close()
