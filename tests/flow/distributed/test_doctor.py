"""What `junto doctor` finds of a Postgres and a Redis that are there, away, unfit or too powerful."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from typer.testing import CliRunner

from junto.cli.checkup.finding import Finding, Level
from junto.cli.checkup.shared import check_database_url, check_redis
from junto.cli.main import app
from junto.core.secret import Secret
from junto.storage.schema import HEAD
from tests.conformance.databases import LOGIN
from tests.conformance.redis_server import free_port, running_redis
from tests.flow.distributed.processes import ADMIN_KEY, SECRETS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conformance.databases import Postgres

pytestmark = pytest.mark.anyio
STRANGER = "junto_without_rights"


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    made = postgres.fresh()
    yield made
    postgres.drop(made)


@pytest.fixture
def stranger(postgres: Postgres) -> Iterator[str]:
    with postgres.admin() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(STRANGER)))
        yield STRANGER
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(STRANGER)))


async def wrong(url: str) -> Finding:
    (finding,) = await check_database_url(Secret(url))
    assert finding.level is Level.WRONG
    assert finding.fix
    return finding


async def test_a_postgres_as_it_should_be(url: str) -> None:
    schema, login = await check_database_url(Secret(url))
    assert (schema.level, login.level) == (Level.OK, Level.OK)
    assert schema.message.endswith(f"at revision {HEAD}.")
    assert login.message.startswith(LOGIN)


async def test_a_login_that_may_do_everything_is_worth_a_note(postgres: Postgres, url: str) -> None:
    schema, login = await check_database_url(Secret(url.replace(f"{LOGIN}@", "postgres@")))
    assert (schema.level, login.level) == (Level.OK, Level.NOTE)
    assert login.fix


async def test_a_login_without_rights(url: str, stranger: str) -> None:
    found = await check_database_url(Secret(url.replace(f"{LOGIN}@", f"{stranger}@")))
    assert found[0].level is Level.WRONG
    assert "GRANT junto_app, junto_operator TO" in found[0].message


async def test_a_database_without_tables_is_to_be_migrated(postgres: Postgres) -> None:
    empty = postgres.empty()
    try:
        finding, login = await check_database_url(Secret(empty))
        assert (finding.level, finding.fix, login.level) == (Level.WRONG, "junto migrate", Level.OK)
    finally:
        postgres.drop(empty)


async def test_a_database_that_is_away_and_what_is_no_address(tmp_path: Path) -> None:
    assert "does not answer" in (await wrong(f"postgresql://u:hunter2@127.0.0.1:{free_port()}/junto")).message
    assert "hunter2" not in (await wrong("postgresql://u:hunter2@x@127.0.0.1/junto")).message
    (file,) = await check_database_url(Secret(f"sqlite:///{tmp_path}/none.db"))
    assert file.level is Level.OK


async def test_a_redis_that_is_there_away_or_shut(tmp_path: Path) -> None:
    with running_redis(password="open sesame") as redis:
        assert (await check_redis(Secret(redis.url.replace("open sesame", "open%20sesame")))).level is Level.OK
        for shut in (f"redis://127.0.0.1:{redis.port}", f"redis://:hunter2@127.0.0.1:{redis.port}"):
            finding = await check_redis(Secret(shut))
            assert (finding.level, "let us in" in finding.message) == (Level.WRONG, True)
            assert "hunter2" not in finding.message
        unknown = f"redis://:open%20sesame@127.0.0.1:{redis.port}/0?no_such_option=1"
        assert (await check_redis(Secret(unknown))).level is Level.WRONG
    away = await check_redis(Secret(f"redis://127.0.0.1:{free_port()}/0"))
    assert (away.level, "does not answer" in away.message) == (Level.WRONG, True)


def test_the_command_looks_at_what_is_configured(tmp_path: Path, url: str) -> None:
    (tmp_path / "junto.yaml").write_text("builtin_model: off\nserver: {port: 0}\n")
    with running_redis() as redis:
        environ = {"DATABASE_URL": url, "REDIS_URL": redis.url, "OLLAMA_HOST": "http://127.0.0.1:9"}
        keys = {
            "JUNTO_ADMIN_KEY": ADMIN_KEY,
            "JUNTO_SECRETS_KEY": SECRETS_KEY,
            "JUNTO_DATA_DIR": str(tmp_path / "data"),
        }
        words = ["doctor", "--config", str(tmp_path / "junto.yaml"), "--json"]
        said = CliRunner().invoke(app, words, env=environ | keys)
    found = {one["check"]: one["level"] for one in json.loads(said.stdout)}
    assert {found[check] for check in ("database", "database login", "redis")} == {"ok"}
    assert ADMIN_KEY not in said.stdout
