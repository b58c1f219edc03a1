"""What the scenarios share: a Postgres, a Redis, and the report that is printed at the end of the run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.chaos.report import PROPERTY, Row, keep, markdown, row_of
from tests.chaos.sizes import IS_LONG
from tests.conformance.conftest import postgres, postgres_url
from tests.conformance.redis_server import RedisServer, running_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _pytest.terminal import TerminalReporter

__all__ = ["postgres", "postgres_url"]  # fixtures


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Note what a scenario found out, before it is judged."""

    def note(**found: Any) -> None:
        row = Row(**found, day=datetime.now(UTC).date().isoformat())
        record_property(PROPERTY, msgspec.to_builtins(row))

    return note


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the table; a full run keeps the rows of what held."""
    rows: dict[str, list[Row]] = {"passed": [], "failed": []}
    for outcome, found in rows.items():
        for one in terminalreporter.stats.get(outcome, []):
            if getattr(one, "when", "") == "call":
                found += [row_of(value) for name, value in one.user_properties if name == PROPERTY]
    if any(rows.values()):
        terminalreporter.section("chaos")
        terminalreporter.write_line(markdown(rows["passed"] + rows["failed"]))
    if IS_LONG and rows["passed"]:
        keep(rows["passed"])
