"""Administering routes: saved, deleted, rolled back, with a word of warning where a route cannot work as it stands.

Who may do that is the edge's business. Each change is written to the audit log and is in force on this node when the method
returns; the other nodes follow within a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from junto.core.errors import NotFound, UnknownModel
from junto.core.near import did_you_mean
from junto.core.sensitivity import Locality, Sensitivity
from junto.routing.routes import check_route, check_task_type

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from junto.catalog.resolve import Snapshot
    from junto.catalog.tasks import Routes
    from junto.ports.routes import RouteStore, RouteVersion
    from junto.routing.routes import Route

_SHOWN = 100
_SEVERAL_CALLS = ("council/", "agent/")


class SavedRoute(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was saved, with what is doubtful about it now."""

    saved: RouteVersion
    warnings: tuple[str, ...] = ()


class RouteBook:
    """Saves routes. `announce` comes back when this node knows of a change, and tells the others."""

    def __init__(
        self,
        store: RouteStore,
        routes: Routes,
        *,
        snapshot: Callable[[], Snapshot],
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._routes = routes
        self._snapshot = snapshot
        self._announce = announce
        self._log = structlog.get_logger(audit=True)

    async def all(self) -> list[Route]:
        """Every route in force, by task type."""
        return await self._store.in_force()

    async def get(self, task_type: str) -> RouteVersion:
        """The newest version; raises NotFound, for a route that was deleted too."""
        found = await self._store.find(check_task_type(task_type))
        if found is None or found.route is None:
            raise self._missing(task_type)
        return found

    async def history(self, task_type: str, *, before: int | None, limit: int) -> list[RouteVersion]:
        """A page of versions, newest first; raises NotFound for a task type that never had a route."""
        found = await self._store.history(check_task_type(task_type), before=before, limit=limit)
        if not found and before is None:
            raise self._missing(task_type)
        return found

    async def save(self, route: Route, *, author: str, expected: int | None) -> SavedRoute:
        """A new version; raises InvalidField, and Conflict unless `expected` is the newest version so far."""
        check_route(route)
        saved = await self._store.save(route.task_type, route, author=author, expected=expected)
        await self._tell("route.saved", saved)
        return SavedRoute(saved=saved, warnings=tuple(warnings(route, self._snapshot())))

    async def delete(self, task_type: str, *, author: str, expected: int | None) -> RouteVersion:
        """Delete a route, which is a version too; raises NotFound, Conflict."""
        await self.get(task_type)
        deleted = await self._store.save(task_type, None, author=author, expected=expected)
        await self._tell("route.deleted", deleted)
        return deleted

    async def roll_back(self, task_type: str, version: int, *, author: str, expected: int | None) -> SavedRoute:
        """Put an earlier version in force again, as a new one; raises NotFound, Conflict."""
        old = await self._store.find(check_task_type(task_type), version)
        if old is None:
            raise NotFound(f"The route of {task_type} has no version {version}.", param="version")
        saved = await self._store.save(task_type, old.route, author=author, expected=expected)
        await self._tell("route.rolled_back", saved, to=version)
        found = () if old.route is None else tuple(warnings(old.route, self._snapshot()))
        return SavedRoute(saved=saved, warnings=found)

    async def _tell(self, event: str, saved: RouteVersion, **more: int) -> None:
        self._log.info(event, task_type=saved.task_type, version=saved.version, author=saved.author, **more)
        await self._announce()

    def _missing(self, task_type: str) -> NotFound:
        hint = did_you_mean(task_type, self._routes.table.routes)
        return NotFound(f"There is no route for the task type {task_type[:_SHOWN]!r}.{hint}")


def warnings(route: Route, snapshot: Snapshot) -> Iterator[str]:
    """What is doubtful about a route on today's catalog; it may be right tomorrow, so none of it is refused."""
    for name in route.names:
        try:
            snapshot.resolve(name)
        except UnknownModel as unknown:
            yield f"{unknown.message} The route passes it over as long as that is so."
    yield from _idle_shadows(route)
    if route.sensitivity is not Sensitivity.CONFIDENTIAL:
        return
    if route.canary is not None and _only_cloud(snapshot, route.canary.model):
        yield f"Confidential content stays on local models, so {route.canary.model!r} will never answer as a canary of this task."
    answering = (route.preferred_model, *((route.fallback_model,) if route.fallback_model is not None else ()))
    if _only_cloud(snapshot, *answering):
        names = " and ".join(repr(name) for name in answering)
        yield f"Confidential content stays on local models, and {names} has none now: every request of this task is refused."
    for shadow in route.shadow_models:
        if _only_cloud(snapshot, shadow.model):
            yield f"Confidential content stays on local models, so {shadow.model!r} will never be a shadow of this task."


def _idle_shadows(route: Route) -> Iterator[str]:
    """Shadows that would never be asked anything."""
    for shadow in route.shadow_models:
        if shadow.model == route.preferred_model:
            yield f"{shadow.model!r} answers this task already, and is no shadow of itself."
        elif shadow.model.startswith(_SEVERAL_CALLS):
            yield f"{shadow.model!r} is not asked as a shadow: only models and groups are."


def _only_cloud(snapshot: Snapshot, *names: str) -> bool:
    """Whether something serves these names, and all of that is in the cloud."""
    localities = set()
    for name in names:
        try:
            stages = snapshot.resolve(name).stages
        except UnknownModel:
            continue
        localities |= {one.locality for stage in stages for one in stage.candidates}
    return localities == {Locality.CLOUD}
