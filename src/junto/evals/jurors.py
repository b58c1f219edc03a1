"""Who may judge: what a judge's name stands for, and of which family its models and those of an answer are. Contacts nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import InvalidField, UnknownModel
from junto.evals.families import families_of
from junto.routing.routes import task_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.catalog.resolve import Snapshot
    from junto.ports.subjects import SubjectFacts
    from junto.routing.facts import DeploymentFacts


class Juror(msgspec.Struct, frozen=True, kw_only=True):
    """A judge by its name, and the families of all models that may answer under it."""

    name: str
    families: frozenset[str]


class Bench:
    """Knows judges by what the catalog has now; `snapshot` gives it."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def juror(self, name: str) -> Juror:
        """The judge of that name: a model, a group or a pinned name. Raises UnknownModel, and InvalidField for what cannot judge."""
        if task_of(name) is not None:
            raise InvalidField(f"{name!r} is a task: a judge is a model, a group or a pinned name.", param="judges")
        try:
            resolution = self._snapshot().resolve(name)
        except UnknownModel as error:
            raise UnknownModel(error.message, param="judges") from error
        candidates = resolution.stages[0].candidates
        if any(each.is_composed for each in candidates):
            raise InvalidField(
                f"{name!r} is a council, which cannot judge: ask its members as a panel.", param="judges"
            )
        if not candidates:
            raise UnknownModel(f"Nothing serves {name!r} now.", param="judges")
        return Juror(name=name, families=frozenset(family for each in candidates for family in _families(each)))

    def families(self, facts: SubjectFacts) -> frozenset[str]:
        """The families of the model that gave an answer, as it was recorded."""
        known = self._snapshot().by_key.get(f"{facts.backend}/{facts.model}")
        return families_of(facts.model) if known is None else _families(known)


def _families(deployment: DeploymentFacts) -> frozenset[str]:
    return families_of(deployment.model, deployment.upstream_model)
