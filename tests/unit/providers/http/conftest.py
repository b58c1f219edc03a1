"""A fresh wire for each test."""

import pytest

from tests.unit.providers.http.wire import Wire


@pytest.fixture
def wire() -> Wire:
    """A connection on a transport that is a list."""
    return Wire()
