"""All routes in force, and which of them applies to a request: a look-up, with no word about deployments.

A table is never changed; a change of a route makes a new one. On the hot path for requests that name a task; for the others
one comparison of the model's name is all it costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.chat import Sampling
from junto.core.sensitivity import Sensitivity
from junto.routing.routes import DEFAULT_TASK, TASK_PREFIX, Route, task_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STANDING_MODEL: Final = "fast"  # what serves task types without a route where no route is called `default`


class RouteTable(msgspec.Struct, frozen=True, eq=False):
    """Routes by task type."""

    routes: Mapping[str, Route] = {}

    @classmethod
    def of(cls, routes: Iterable[Route]) -> RouteTable:
        """A table of these routes, in the order of their task types."""
        return cls({route.task_type: route for route in sorted(routes, key=lambda each: each.task_type)})

    def find(self, task_type: str) -> Route | None:
        """The route of that very task type."""
        return self.routes.get(task_type)

    def changed(self, changes: Mapping[str, Route | None]) -> RouteTable:
        """The table with these routes in it; None takes one out."""
        merged = {**self.routes, **changes}
        return RouteTable.of(route for route in merged.values() if route is not None)


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """What a table makes of a request that names a task.

    `model`, `fallback` and `spare`, which follows that one, are to be resolved by the catalog. `is_canary`: `model` is the route's
    canary, and its preferred model comes next. `is_default` says that the task type has no route of its own, so
    that `route` is the one called `default` (version 0: none is stored under that name). Where the caller named a model
    itself, `keeps_model`, only the floor is the route's. `floor` None: no route says anything about it.
    """

    model: str
    fallback: str | None = None
    spare: str | None = None
    floor: Sensitivity | None = None
    max_tokens: int | None = None
    sampling: Sampling | None = None
    task_type: str = ""
    is_default: bool = False
    keeps_model: bool = False
    is_canary: bool = False
    route: str = DEFAULT_TASK
    route_version: int = 0

    @property
    def label(self) -> str:
        """The route with its version, `email_classification@3`."""
        return f"{self.route}@{self.route_version}" if self.route_version else self.route


def apply(table: RouteTable, requested_model: str, task_type: str, key: str = "") -> Routed | None:
    """What the table says about a request; None where neither its model nor anything else names a task.

    `task/<type>` and `auto` are models of the table; with another name, a task type only brings its route's floor. Where both
    name a task, the model's counts, under the stricter floor of the two. `key` is the request's id, which decides whether a
    canary answers it; without one none does.
    """
    named = task_of(requested_model)
    if named is None:
        return _keeping(table, requested_model, task_type) if task_type else None
    wanted = named or task_type
    route, is_default = _route(table, wanted)
    floor = route.sensitivity if route is not None else None
    if task_type and task_type != wanted:
        floor = _stricter(floor, _route(table, task_type)[0])
    if route is None:
        return Routed(model=STANDING_MODEL, floor=floor, task_type=wanted, is_default=True)
    canary = route.canary
    is_canary = canary is not None and bool(key) and canary.takes(route.task_type, key)
    return Routed(
        model=canary.model if canary is not None and is_canary else route.preferred_model,
        fallback=route.preferred_model if is_canary else route.fallback_model,
        spare=route.fallback_model if is_canary else None,
        floor=floor,
        max_tokens=route.max_tokens,
        sampling=route.sampling,
        task_type=wanted,
        is_default=is_default,
        is_canary=is_canary,
        route=route.task_type,
        route_version=route.version,
    )


def _keeping(table: RouteTable, requested_model: str, task_type: str) -> Routed:
    """The caller names the model itself: of the route there is only the floor."""
    route, is_default = _route(table, task_type)
    return Routed(
        model=requested_model,
        floor=route.sensitivity if route is not None else None,
        task_type=task_type,
        is_default=is_default,
        keeps_model=True,
        route=route.task_type if route is not None else DEFAULT_TASK,
        route_version=route.version if route is not None else 0,
    )


def opened(allowed: frozenset[str], requested_model: str, routed: Routed, stages: Iterable[str]) -> frozenset[str]:
    """A client's list of models for one request: a task that is on the list opens what its route names (`stages`)."""
    if routed.keeps_model or not allowed & {requested_model, TASK_PREFIX + routed.task_type}:
        return allowed
    return allowed | frozenset(stages)


def _route(table: RouteTable, task_type: str) -> tuple[Route | None, bool]:
    """The route that serves a task type, and whether it is not its own."""
    own = table.routes.get(task_type)
    return (own, False) if own is not None else (table.routes.get(DEFAULT_TASK), True)


def _stricter(floor: Sensitivity | None, other: Route | None) -> Sensitivity | None:
    if other is None:
        return floor
    return other.sensitivity if floor is None else max(floor, other.sensitivity)
