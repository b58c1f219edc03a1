"""Texts that a database cannot hold: whoever sent them is told so, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.core.errors import InvalidField
from junto.ports.identity import TenantRecord
from junto.storage.engine import Database
from junto.storage.repositories.identity import StoredIdentity
from junto.storage.sessions import Sessions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_nul_in_what_is_looked_for_is_the_callers_mistake(postgres_url: str) -> None:
    """It may come in any path, query or body: `GET /jobs/%00`."""
    async with Database(postgres_url) as database:
        store = StoredIdentity(Sessions(database))
        with pytest.raises(InvalidField, match="NUL"):
            await store.find_client("cli_\0")
        assert await store.find_client("cli_none") is None  # the connection is as good as before


async def test_a_nul_in_what_is_stored_is_the_callers_mistake_too(postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        store = StoredIdentity(Sessions(database))
        with pytest.raises(InvalidField, match="NUL"):
            await store.add_tenant(TenantRecord(id="ten_1", name="one", notes="a\0b"), ())
        assert await store.find_tenant("ten_1") is None


async def test_a_file_has_nothing_against_it(tmp_path: Path) -> None:
    async with Database(tmp_path) as database:
        assert await StoredIdentity(Sessions(database)).find_client("cli_\0") is None
