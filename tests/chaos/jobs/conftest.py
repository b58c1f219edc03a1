"""The Postgres of these tests."""

from __future__ import annotations

from tests.conformance.conftest import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]
