"""Looks at what several processes share: the database that `database_url` names, and the Redis of `redis_url`. Changes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError
from sqlalchemy import text

from junto.cli.checkup.data import check_database_file
from junto.cli.checkup.finding import Level, note, ok, wrong
from junto.cli.checkup.secret import check_secret
from junto.coordination.redis_connection import connect
from junto.core.errors import Overloaded
from junto.storage.away import told_when_away, why
from junto.storage.engine import Database, DatabaseUrlRefused
from junto.storage.schema import HEAD, NotAllowed, SchemaError, SchemaTooOld
from junto.storage.secret_name import kept_name
from junto.storage.sessions import Sessions

if TYPE_CHECKING:
    from junto.cli.checkup.finding import Finding
    from junto.core.secret import Secret

_PATIENCE: Final = 3.0  # seconds for Redis; Postgres has its own
_OLDEST_POSTGRES: Final = 15
_LOGIN: Final = text(
    "SELECT rolname, rolsuper, rolbypassrls, current_setting('server_version_num')::int / 10000"
    " FROM pg_roles WHERE rolname = current_user"
)


async def check_database_url(url: Secret, secret: Secret | None = None) -> list[Finding]:
    """It answers, its schema is this Junto's, the login has the rights that it needs and not all of them, and `secret` fits."""
    try:
        database = Database(url.reveal())
    except DatabaseUrlRefused as refused:
        return [wrong("database", str(refused), "Correct database_url or DATABASE_URL.")]
    if database.is_file:
        return check_database_file(database.path, secret)
    try:
        return await _check_postgres(database, secret)
    except Overloaded as away:
        fix = "Check host, port, user, password and database in DATABASE_URL, and that the server is up and lets this machine in."
        return [wrong("database", f"It does not answer: {why(away)}.", fix)]
    finally:
        await database.close()


async def _check_postgres(database: Database, secret: Secret | None) -> list[Finding]:
    with told_when_away():
        async with database.reader.connect() as connection:
            name, is_super, bypasses, version = (await connection.execute(_LOGIN)).one()
    if version < _OLDEST_POSTGRES:
        fix = f"Use Postgres {_OLDEST_POSTGRES} or newer."
        return [wrong("database", f"It is Postgres {version}, which Junto does not work on.", fix)]
    schema = await _check_schema(database, f"Postgres {version} answers")
    kept = check_secret(await kept_name(Sessions(database)), secret) if schema.level is Level.OK else []
    return [schema, *_check_login(name, is_super or bypasses), *kept]


async def _check_schema(database: Database, answers: str) -> Finding:
    try:
        await database.look()
    except SchemaTooOld as old:
        return wrong("database", f"{answers}. {old}", "junto migrate")
    except NotAllowed as refused:
        return wrong("database", f"{answers}. {refused}", "docs/operations.md, Postgres, says which login may do what.")
    except SchemaError as unfit:
        return wrong("database", f"{answers}. {unfit}", "Upgrade Junto here, too.")
    return ok("database", f"{answers}, at revision {HEAD}.")


def _check_login(name: str, is_mighty: bool) -> list[Finding]:  # noqa: FBT001  what was found of it
    if not is_mighty:
        return [ok("database login", f"{name} is bound by row-level security.")]
    message = f"{name} is a superuser, or may pass by row-level security: nothing in the database holds it back."
    fix = "Give Junto a login of its own: docs/operations.md, Postgres."
    return [note("database login", message, fix)]


async def check_redis(url: Secret) -> Finding:
    """It answers, and lets us in."""
    client = connect(url, patience=_PATIENCE)
    try:
        async with asyncio.timeout(_PATIENCE):
            version = (await client.info("server"))["redis_version"]
    except (AuthenticationError, AuthorizationError, NoPermissionError) as refused:
        fix = "Check user and password in REDIS_URL; what Junto uses: lists, scripts and publish/subscribe."
        return wrong("redis", f"It does not let us in: {refused}.", fix)
    except TimeoutError:
        return wrong("redis", f"It does not answer within {_PATIENCE:g} s.", _REDIS_FIX)
    except (RedisError, OSError, TypeError) as away:  # an option that redis-py does not know is a TypeError
        return wrong("redis", f"It does not answer: {away}.", _REDIS_FIX)
    finally:
        await client.aclose()
    return ok("redis", f"Redis {version} answers.")


_REDIS_FIX: Final = (
    "Check host and port in REDIS_URL, and that it is up; until then each process goes by its share of limits."
)
