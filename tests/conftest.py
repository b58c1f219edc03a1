"""Fixtures and settings that every kind of test may use."""

import hypothesis
import pytest

# No test is a stopwatch: on a busy machine an example may take long and be right.
hypothesis.settings.register_profile("junto", deadline=None)
hypothesis.settings.load_profile("junto")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio only: it is what Junto runs on."""
    return "asyncio"
