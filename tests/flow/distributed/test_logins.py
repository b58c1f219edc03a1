"""The logins that the containers' Postgres is made with: the very script, run by psql as the image runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from typer.testing import CliRunner

from junto.cli.checkup.finding import Level
from junto.cli.checkup.shared import check_database_url
from junto.cli.main import app
from junto.core.secret import Secret
from junto.storage.engine import Database
from junto.storage.sessions import OPERATOR, Sessions, Tenant
from tests.conformance.databases import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.databases import Postgres

pytestmark = pytest.mark.anyio
SCRIPT = Path(__file__).parents[3] / "container" / "postgres" / "logins.sh"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A Postgres that nobody has prepared: roles are of the whole server."""
    with running_postgres() as server:
        path = os.pathsep.join([str(server.server.bin_path), os.environ["PATH"]])
        passwords = {"DATABASE_OWNER_PASSWORD": "it's the owner's", "DATABASE_PASSWORD": "ours"}
        environ = {"PATH": path, "PGHOST": server.socket, **passwords}
        done = subprocess.run(["sh", str(SCRIPT)], env=environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        yield server


@pytest.fixture(scope="module")
def ours(server: Postgres) -> str:
    """The address that serve and worker get, after the owner has migrated."""
    environ = {"DATABASE_URL": server.url("junto", "junto_owner"), "JUNTO_CONFIG": None}
    migrated = CliRunner().invoke(app, ["migrate"], env=environ)
    assert migrated.exit_code == 0, migrated.output
    return server.url("junto", "junto")


async def test_the_login_that_serves_is_bound_by_row_security_and_all_that_it_needs(ours: str) -> None:
    assert [finding.level for finding in await check_database_url(Secret(ours))] == [Level.OK, Level.OK]
    async with Database(ours) as database:
        for scope in (OPERATOR, Tenant("default")):
            async with Sessions(database).write(scope) as session:
                assert session.scope is scope


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x int)",
        "DROP TABLE jobs",
        "ALTER TABLE jobs DISABLE ROW LEVEL SECURITY",
        "CREATE ROLE another",
        "SET ROLE junto_owner",
        "CREATE DATABASE mine",
    ],
)
def test_the_login_that_serves_may_change_nothing_but_rows(ours: str, statement: str) -> None:
    with psycopg.connect(ours, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_nobody_else_gets_in(server: Postgres, ours: str) -> None:
    with server.admin() as connection:
        connection.execute("CREATE ROLE nobody_special LOGIN")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(server.url("junto", "nobody_special"))


def test_the_passwords_are_those_that_were_given(server: Postgres) -> None:
    with server.admin() as connection:
        found = connection.execute(
            "SELECT rolname, rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolcanlogin AND rolname LIKE 'junto%'"
            " AND rolname <> 'junto_login' ORDER BY 1"
        ).fetchall()
    assert found == [("junto", True), ("junto_owner", True)]
