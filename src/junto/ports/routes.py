"""Routes as they are stored, every save a version; and the recorded requests that a changed table is tried on.

Both belong to the operator. What a route means is decided in routing; who may change one is the edge's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from junto.core.sensitivity import Sensitivity
from junto.core.usage import Usage
from junto.routing.routes import Route

if TYPE_CHECKING:
    from collections.abc import Sequence


class RouteVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One save of a task type's route; `route` None is a deletion. `created_ms` is by the database's clock."""

    task_type: str
    version: int
    route: Route | None
    author: str
    created_ms: int


class RouteStore(Protocol):
    """Each method is one transaction. A save raises the counter that makes every node load its copy again."""

    async def in_force(self) -> list[Route]:
        """The newest version of every task type, without those that are deleted."""

    async def find(self, task_type: str, version: int | None = None) -> RouteVersion | None:
        """That version of a task type, or the newest one, be it a deletion."""

    async def history(self, task_type: str, *, before: int | None, limit: int) -> list[RouteVersion]:
        """A page of a task type's versions, newest first."""

    async def save(self, task_type: str, route: Route | None, *, author: str, expected: int | None) -> RouteVersion:
        """Add a version; None deletes. Raises Conflict unless the newest version is `expected` (0: there is none)."""


class RecordedExchange(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of a recorded request, as far as routing and money care; never what was said."""

    id: str
    client_id: str
    client: str
    operation: str
    requested_model: str
    sensitivity: Sensitivity
    task_type: str
    stream: bool
    usage: Usage
    cost_nano: int


class RecordedTraffic(Protocol):
    """What was asked of Junto lately."""

    async def recorded(self, *, since_ms: int | None, task_type: str | None, limit: int) -> Sequence[RecordedExchange]:
        """The newest exchanges since then, newest first; those that are parts of others are left out."""
