"""What `database_url` may be: refused before anything is connected, without a word of what it holds."""

from __future__ import annotations

import pytest

from junto.storage.engine import Database, DatabaseUrlRefused


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:sec@ret@db/junto",  # else the driver says that it cannot find the host `ret@db`
        "postgresql://user:secret@db:port/junto",
        "postgresql://user:secret@db/junto?sslmod=require",
        "mysql://user:secret@db/junto",
        "sqlite:///:memory:",
    ],
)
def test_a_url_that_names_no_database_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(DatabaseUrlRefused) as refused:
        Database(url)
    assert "sec" not in str(refused.value).replace("sslmode", "")


@pytest.mark.parametrize("url", ["postgresql://user:sec%40ret@db/junto", "postgres://@/junto?host=%2Ftmp"])
def test_what_is_percent_encoded_is_fine(url: str) -> None:
    assert not Database(url).is_file
