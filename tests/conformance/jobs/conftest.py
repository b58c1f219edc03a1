"""The three sides of jobs on each database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .desk import Desk

if TYPE_CHECKING:
    from junto.storage.engine import Database


@pytest.fixture
async def desk(database: Database) -> Desk:
    desk = Desk(database)
    await desk.set_up()
    return desk
