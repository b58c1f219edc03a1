"""Conversations on each database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .lobby import Lobby

if TYPE_CHECKING:
    from junto.storage.engine import Database


@pytest.fixture
async def lobby(database: Database) -> Lobby:
    lobby = Lobby(database)
    await lobby.set_up()
    return lobby
