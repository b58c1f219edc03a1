"""A house with the default tenant in it, for async tests."""

from __future__ import annotations

import pytest

from tests.unit.identity.house import House


@pytest.fixture
async def house(anyio_backend: str) -> House:
    house = House()
    await house.furnish()
    return house
