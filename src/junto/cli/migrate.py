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
    new_secrets_key: Annotated[
        bool,
        typer.Option(
            "--new-secrets-key",
            help="Go on under the JUNTO_SECRETS_KEY that is set now, or under none; what was encrypted before stays unreadable.",
        ),
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
        if new_secrets_key and not check:
            typer.echo(asyncio.run(_take_secret(settings)))
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


async def _take_secret(settings: Settings) -> str:
    """Whatever the processes' secret was, it is now the one of the settings."""
    from contextlib import nullcontext

    from junto.bootstrap.storage import database_of, locked
    from junto.storage.sealing import name_of
    from junto.storage.secret_name import replace
    from junto.storage.sessions import Sessions

    name = None if settings.secrets_key is None else name_of(settings.secrets_key)
    database = database_of(settings)
    try:
        with locked(settings, database) if database.is_file else nullcontext():
            before, unreadable = await replace(Sessions(database), name)
    finally:
        await database.close()
    now = "not encrypted" if name is None else f"encrypted under the JUNTO_SECRETS_KEY named {name}"
    said = f"From now on jobs and bodies are {now}; before: {'not encrypted' if before is None else before}."
    if unreadable:
        said += (
            f" {unreadable} unfinished jobs were encrypted under another one: they wait for it, or for being cancelled."
        )
    return said
