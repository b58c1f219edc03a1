"""The tools to move money in the database of these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .till import Till

if TYPE_CHECKING:
    from junto.storage.engine import Database


@pytest.fixture
def till(database: Database) -> Till:
    return Till(database)
