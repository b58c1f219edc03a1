"""Builds a snapshot from what is configured and what was found. Pure but for the live facts, which the board lends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.catalog.councils import council_of
from junto.catalog.deployments import deployments_of, unattested_models
from junto.catalog.groups import FAST, QUALITY, configured_stage, default_stages
from junto.catalog.model import Kind, Resolution
from junto.catalog.names import canonical
from junto.catalog.resolve import Snapshot, listed
from junto.routing.facts import Stage

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from junto.catalog.board import LiveBoard
    from junto.catalog.model import CatalogSpec
    from junto.ports.provider import Probe
    from junto.routing.facts import DeploymentFacts

MOST_STAGES = 32  # of one name; a longer chain of fallbacks is cut


def build(spec: CatalogSpec, found: Mapping[str, Probe], board: LiveBoard, version: int, *, on: dt.date) -> Snapshot:
    """The catalog as of that day (for prices). `found` holds the last successful probe of each backend by name."""
    deployments = tuple(
        deployment
        for backend in spec.backends
        for deployment in deployments_of(backend, found.get(backend.name), board, spec.prices, on)
    )
    councils = tuple(council_of(name, board) for name in spec.councils)
    by_key = {deployment.key: deployment for deployment in (*deployments, *councils)}
    board.forget_except(by_key)
    names = _Names(spec, deployments, councils)
    unattested = [one for backend in spec.backends for one in unattested_models(backend, found.get(backend.name))]
    resolutions = names.resolutions()
    return Snapshot(
        version=version,
        policy=spec.policy,
        deployments=deployments,
        councils=councils,
        by_key=by_key,
        resolutions=resolutions,
        listed=listed(resolutions),
        warnings=(*names.warnings(), *unattested),
    )


class _Names:
    """Every name of one snapshot being built: its first stage, and the names that follow it."""

    def __init__(
        self, spec: CatalogSpec, deployments: tuple[DeploymentFacts, ...], councils: tuple[DeploymentFacts, ...]
    ) -> None:
        self._spec = spec
        self._councils = {council.model: council for council in councils}
        self._models: dict[str, list[DeploymentFacts]] = {}
        self._pinned: dict[str, DeploymentFacts] = {}
        for deployment in deployments:
            self._models.setdefault(canonical(deployment.model), []).append(deployment)
            self._pinned.setdefault(canonical(deployment.key), deployment)
        self._models |= {name: [council] for name, council in self._councils.items()}
        self._rules = {canonical(name): targets for name, targets in spec.fallbacks.items()}
        self._followers: dict[str, tuple[str, ...]] = dict(self._rules)
        self._groups = self._group_stages(deployments)

    def resolutions(self) -> dict[str, Resolution]:
        """By canonical name; a group hides a pinned name, which hides a model that is called the same."""
        names = {**self._rules, **self._models, **self._pinned, **self._groups}
        return {
            name: Resolution(name=self._shown(name), kind=self._kind(name), stages=self._stages(name)) for name in names
        }

    def warnings(self) -> list[str]:
        return [
            f"The group {name!r} hides the model of the same name; ask for it as {self._models[name][0].key!r}."
            for name in self._groups
            if name in self._models
        ]

    def _group_stages(self, deployments: tuple[DeploymentFacts, ...]) -> dict[str, Stage]:
        if not self._spec.groups:
            fast, quality = default_stages(self._spec, deployments)
            self._followers[QUALITY] = (FAST, *self._rules.get(QUALITY, ()))
            return {FAST: fast, QUALITY: quality}
        lookup = {**self._models, **{key: [deployment] for key, deployment in self._pinned.items()}}
        stages = {}
        for name, group in self._spec.groups.items():
            stages[canonical(name)] = configured_stage(name, group, lookup, self._spec.strategy)
            own = (group.fallback,) if group.fallback else ()
            members = tuple(rule for member in group.members for rule in self._rules.get(canonical(member.ref), ()))
            self._followers[canonical(name)] = (*own, *self._rules.get(canonical(name), ()), *members)
        return stages

    def _kind(self, name: str) -> Kind:
        if name in self._groups:
            return Kind.GROUP
        if name in self._councils:
            return Kind.COUNCIL
        return Kind.PINNED if name in self._pinned else Kind.MODEL

    def _shown(self, name: str) -> str:
        """The name as its first backend writes it (`llama3:latest`), which is what clients of that backend expect."""
        if name in self._groups:
            return self._groups[name].name
        if name in self._pinned:
            return self._pinned[name].key
        return self._models[name][0].model if name in self._models else name

    def _stage(self, name: str) -> Stage:
        if name in self._groups:
            return self._groups[name]
        candidates = [self._pinned[name]] if name in self._pinned else self._models.get(name, [])
        return Stage(name=self._shown(name), strategy=self._spec.strategy, candidates=tuple(candidates))

    def _stages(self, name: str) -> tuple[Stage, ...]:
        """The name and all that follows it, depth first, each once: whatever the rules are, this ends.

        A fallback that nothing serves is left out; the name itself stays, even with no candidates.
        """
        seen: dict[str, Stage] = {}
        waiting = [name]
        while waiting and len(seen) < MOST_STAGES:
            current = canonical(waiting.pop())
            if current not in seen:
                seen[current] = self._stage(current)
                waiting.extend(reversed(self._followers.get(current, ())))
        first, *rest = seen.values()
        return (first, *(stage for stage in rest if stage.candidates))
