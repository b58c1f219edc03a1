"""Tasks as models: the table of routes in force, and the deployments that a route's names stand for.

Owns the meeting of routes and catalog; which route applies is routing/route_table.py's, which deployment answers routing/plan.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.catalog.cards import ModelCard, card
from junto.catalog.model import Kind, Resolution
from junto.catalog.permitted import is_permitted
from junto.core.errors import UnknownModel
from junto.routing.facts import Stage, Strategy
from junto.routing.route_table import RouteTable, apply
from junto.routing.routes import AUTO, DEFAULT_TASK, TASK_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from junto.catalog.resolve import Snapshot
    from junto.ports.provider import Probe
    from junto.ports.routes import RouteStore
    from junto.routing.facts import Traits
    from junto.routing.route_table import Routed


class Routes:
    """The one place that names the table in force; assignment is the swap. Empty until it is loaded for the first time."""

    def __init__(self) -> None:
        self.table = RouteTable()

    async def load(self, store: RouteStore) -> None:
        """Read every route again and swap the table in; what the store raises leaves the old one in force."""
        self.table = RouteTable.of(await store.in_force())


def resolve_routed(snapshot: Snapshot, routed: Routed) -> Resolution:
    """Where a routed request may be answered: the route's model, then its fallback, then whatever follows the two by rule.

    A name that nothing has now is passed over; raises UnknownModel when both are such. Where the caller named the model itself,
    that is it.
    """
    if routed.keeps_model:
        return snapshot.resolve(routed.model)
    preferred = _find(snapshot, routed.model)
    following = [_find(snapshot, name) for name in (routed.fallback, routed.spare) if name is not None]
    fallbacks = [found for found in following if found is not None]
    if preferred is None and not fallbacks:
        raise UnknownModel(_nobody(routed), param="model")
    if preferred is None:
        # Its place stays, so that an answer is known for a fallback.
        first = Stage(name=routed.model, strategy=Strategy.PRIORITY, candidates=())
        preferred = Resolution(name=routed.model, kind=Kind.MODEL, stages=(first,))
    if not fallbacks:
        return preferred
    stages = (preferred.stages[0], *(stage for each in fallbacks for stage in each.stages), *preferred.stages[1:])
    return Resolution(name=preferred.name, kind=preferred.kind, stages=tuple(_each_once(stages)))


def resolve_named(snapshot: Snapshot, table: RouteTable, name: str) -> Resolution:
    """What any name stands for that a caller may put in `model`, tasks included; raises UnknownModel."""
    routed = apply(table, name, "")
    if routed is None:
        return snapshot.resolve(name)
    return Resolution(name=name, kind=Kind.TASK, stages=resolve_routed(snapshot, routed).stages)


def all_cards(
    snapshot: Snapshot, table: RouteTable, found: Mapping[str, Probe], traits: Traits
) -> tuple[ModelCard, ...]:
    """A card for every name that a caller with these traits can ask for: groups, models, and the tasks that something serves."""
    names = (*snapshot.listing(), *_tasks(snapshot, table))
    return tuple(card(each, found) for each in names if is_permitted(each, traits, table))


def _tasks(snapshot: Snapshot, table: RouteTable) -> Iterator[Resolution]:
    """`auto` and each task type with a route; none where there is no route, since then they are only other names for `fast`."""
    own = [TASK_PREFIX + task_type for task_type in table.routes if task_type != DEFAULT_TASK]
    for name in (AUTO, *own) if table.routes else ():
        try:
            resolution = resolve_named(snapshot, table, name)
        except UnknownModel:
            continue
        if any(stage.candidates for stage in resolution.stages):
            yield resolution


def _find(snapshot: Snapshot, name: str) -> Resolution | None:
    try:
        return snapshot.resolve(name)
    except UnknownModel:
        return None


def _each_once(stages: Iterable[Stage]) -> Iterable[Stage]:
    seen: dict[str, Stage] = {}
    for stage in stages:
        seen.setdefault(stage.name, stage)
    return seen.values()


def _nobody(routed: Routed) -> str:
    task = f"The task type {routed.task_type[:100]!r}" if routed.task_type else "A request without a task type"
    names = repr(routed.model) if routed.fallback is None else f"{routed.model!r} or {routed.fallback!r}"
    where = (
        f"goes to {names} by the route {routed.route!r}"
        if routed.route_version
        else f"has no route, so it goes to {names}"
    )
    return f"{task} {where}, which nothing here serves."
