"""Fixtures that every kind of test may use."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio only: it is what Junto runs on."""
    return "asyncio"
