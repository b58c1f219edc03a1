"""From a name to the deployments that may answer it: one look-up in what was prepared when the snapshot was built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.catalog.model import Kind, Resolution
from junto.catalog.names import canonical
from junto.core.errors import UnknownModel
from junto.core.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.routing.facts import DeploymentFacts, Policy


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything that can be asked for at one moment. Never changed: a reload or a heartbeat makes a new one.

    `resolutions` is keyed by canonical names (without `:latest`). `warnings` are for the operator.
    """

    version: int
    policy: Policy
    deployments: tuple[DeploymentFacts, ...]
    by_key: Mapping[str, DeploymentFacts]
    resolutions: Mapping[str, Resolution]
    listed: tuple[Resolution, ...]
    councils: tuple[DeploymentFacts, ...] = ()
    warnings: tuple[str, ...] = ()

    def resolve(self, name: str) -> Resolution:
        """What that name stands for; raises UnknownModel, which lists near names."""
        found = self.resolutions.get(name) or self.resolutions.get(canonical(name))
        if found is None:
            raise UnknownModel(self._unknown(name), param="model")
        return found

    def listing(self) -> tuple[Resolution, ...]:
        """All public names that stand for something now, groups first; pinned names are left out."""
        return self.listed

    def _unknown(self, name: str) -> str:
        names = [canonical(resolution.name) for resolution in self.listed]
        return f"There is no model {name[:100]!r} here.{did_you_mean(name, names)}"


def listed(resolutions: Mapping[str, Resolution]) -> tuple[Resolution, ...]:
    """The names worth showing: every group, every model that some backend has, every council."""
    groups = [entry for entry in resolutions.values() if entry.kind is Kind.GROUP]
    models = [entry for entry in resolutions.values() if entry.kind is Kind.MODEL and entry.stages[0].candidates]
    councils = [entry for entry in resolutions.values() if entry.kind is Kind.COUNCIL]
    return (*groups, *models, *councils)
