"""Fixtures of the flow tests: the usual stage, set once a file, a script that nobody has used yet, and the databases.

`database` and `fresh_database` are what the environment says of a database. A file whose Junto is started with one of them runs
twice: on SQLite, and whole on Postgres in one process, with the worker inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.conftest import postgres
from tests.flow.stage import MODELS, Stage, set_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.databases import Postgres
    from tests.upstreams import Script

__all__ = ["postgres"]

DATABASES = ["sqlite", "postgres"]


def environment_of(request: pytest.FixtureRequest, name: str) -> Iterator[dict[str, str]]:
    """A new database of that kind."""
    if name == "sqlite":
        yield {}
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.fresh()
    yield {"DATABASE_URL": url}
    server.drop(url)


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """One for the whole file."""
    yield from environment_of(request, request.param)


@pytest.fixture(params=DATABASES)
def fresh_database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """One for each test."""
    yield from environment_of(request, request.param)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("data")) as stage:
        yield stage


@pytest.fixture(params=list(MODELS))
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of the backend that answers."""
    return str(request.param)


@pytest.fixture
def model(backend: str) -> str:
    """A chat model of that backend."""
    return MODELS[backend]


@pytest.fixture
def script(stage: Stage, backend: str) -> Script:
    """That backend's script, with nothing planned and nothing received."""
    script = stage.scripts[backend]
    script.clear()
    assert not script.remaining
    return script
