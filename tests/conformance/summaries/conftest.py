"""The database of these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.storage.engine import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path) as database:
        yield database
