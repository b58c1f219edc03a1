"""`junto migrate` on both databases, as an operator runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from junto.cli.main import app
from junto.storage.lock import DataDirLock
from junto.storage.schema import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from tests.conformance.databases import Postgres


def migrate(data_dir: Path, *words: str, url: str | None = None, secret: str | None = None) -> Result:
    environ = {"JUNTO_DATA_DIR": str(data_dir), "JUNTO_CONFIG": None, "DATABASE_URL": url, "JUNTO_SECRETS_KEY": secret}
    return CliRunner().invoke(app, ["migrate", *words], env=environ)


@pytest.fixture(params=["sqlite", "sqlite:///", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    """Of a database that is not there yet; none is the file in the data directory."""
    if request.param == "sqlite":
        yield None
    elif request.param == "sqlite:///":
        yield f"sqlite:///{tmp_path}/elsewhere/my.db"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        made = postgres.empty()
        yield made
        postgres.drop(made)


def test_tables_are_made_once_and_found_after_that(tmp_path: Path, url: str | None) -> None:
    before = migrate(tmp_path, "--check", url=url)
    assert before.exit_code == 1
    assert "junto migrate" in before.stderr
    made = migrate(tmp_path, url=url)
    assert (made.exit_code, made.stdout) == (0, f"The tables were made (revision {HEAD}).\n")
    for words in ([], ["--check"]):
        again = migrate(tmp_path, *words, url=url)
        assert (again.exit_code, again.stdout) == (0, f"The database is up to date (revision {HEAD}).\n")


def test_a_check_makes_no_file(tmp_path: Path) -> None:
    assert migrate(tmp_path / "data", "--check").exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_the_option_goes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "option" / "junto.db"
    assert (
        migrate(tmp_path, "--database-url", f"sqlite:///{file}", url="postgresql://nobody@localhost:1/x").exit_code == 0
    )
    assert file.exists()


@pytest.mark.parametrize("by", ["directory", "url"])
def test_a_file_that_a_running_junto_has_is_left_alone(tmp_path: Path, by: str) -> None:
    held = tmp_path / "held"
    with DataDirLock(held):
        if by == "directory":
            refused = migrate(held)
        else:
            refused = migrate(tmp_path / "mine", url=f"sqlite:///{held}/junto.sqlite3")
    assert refused.exit_code == 1
    assert "in use by another Junto" in refused.stderr
    assert not (held / "junto.sqlite3").exists()


def test_a_server_that_is_not_there_is_told_with_the_reason_and_without_the_password(tmp_path: Path) -> None:
    result = migrate(tmp_path, url="postgres://junto:canary@127.0.0.1:1/junto")
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
    assert "127.0.0.1" in result.stderr
    assert "canary" not in result.output


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://junto:ca@na:canary@127.0.0.1/junto",
        "postgresql://junto:can/canary@127.0.0.1/junto",
        "postgresql://junto:canary@127.0.0.1:canary/junto",
        "postgresql://junto:canary@127.0.0.1:1/junto?nonsense=1",
        "sqlite:///:memory:",
        "mysql://junto:canary@127.0.0.1/junto",
    ],
)
def test_a_url_that_leads_nowhere_is_refused_in_one_line_without_its_password(tmp_path: Path, url: str) -> None:
    result = migrate(tmp_path, url=url)
    assert result.exit_code in {1, 2}
    assert len(result.stderr.splitlines()) == 1
    assert "canary" not in result.output


def test_another_secret_is_taken_when_it_is_asked_for_only(tmp_path: Path, url: str | None) -> None:
    assert migrate(tmp_path, url=url).exit_code == 0
    first = migrate(tmp_path, "--new-secrets-key", url=url, secret="a secret of the tests")
    assert "From now on jobs and bodies are encrypted under the JUNTO_SECRETS_KEY named " in first.stdout
    assert "before: not encrypted." in first.stdout
    assert "a secret of the tests" not in first.stdout
    none = migrate(tmp_path, "--new-secrets-key", url=url)
    assert "From now on jobs and bodies are not encrypted" in none.stdout
