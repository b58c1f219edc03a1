"""The database of these tests, and the tools to move money in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.storage.engine import Database

from .till import Till

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path) as database:
        yield database


@pytest.fixture
def till(database: Database) -> Till:
    return Till(database)
