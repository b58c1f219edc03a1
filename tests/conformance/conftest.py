"""Each test that asks for `database` or `sessions` runs on SQLite and on Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.storage.engine import Database
from junto.storage.sessions import Sessions

from .databases import Postgres, make_template, running_postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        make_template(server)
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A migrated database of this test's own."""
    url = postgres.fresh()
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where the database is."""
    return tmp_path if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(place: Path | str) -> AsyncIterator[Database]:
    async with Database(place) as database:
        yield database


@pytest.fixture
def sessions(database: Database) -> Sessions:
    return Sessions(database)
