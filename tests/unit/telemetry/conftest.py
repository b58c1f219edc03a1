"""Logging is the interpreter's own, so each test that configures it puts everything back."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Whatever is configured, afterwards it is as before."""
    root = logging.getLogger()
    access = logging.getLogger("uvicorn.access")
    server = logging.getLogger("uvicorn")
    before = (root.handlers[:], root.level, access.disabled, server.level)
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level, access.disabled, server.level = before
    structlog.reset_defaults()
