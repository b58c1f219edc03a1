"""Which deployments a group holds: the configured members, or, where no group is configured, `fast` and `quality`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.catalog.names import canonical
from junto.core.chat import Operation
from junto.core.sensitivity import Locality
from junto.routing.facts import Stage, Strategy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from junto.catalog.model import CatalogSpec, GroupSpec
    from junto.routing.facts import DeploymentFacts

FAST = "fast"
QUALITY = "quality"


def configured_stage(
    name: str, group: GroupSpec, lookup: Mapping[str, Sequence[DeploymentFacts]], default: Strategy
) -> Stage:
    """The members that exist, each with its weight; of two members that mean one deployment, the first counts."""
    weighted: dict[str, DeploymentFacts] = {}
    for member in group.members:
        for deployment in lookup.get(canonical(member.ref), ()):
            if deployment.key not in weighted:
                weighted[deployment.key] = msgspec.structs.replace(deployment, weight=member.weight)
    return Stage(name=name, strategy=group.strategy or default, candidates=tuple(weighted.values()))


def default_stages(spec: CatalogSpec, deployments: Sequence[DeploymentFacts]) -> tuple[Stage, Stage]:
    """`fast`: all local deployments that chat. `quality`: those in the cloud, dearest first."""
    able = [deployment for deployment in deployments if Operation.CHAT in deployment.operations]
    local = [deployment for deployment in able if deployment.locality is Locality.LOCAL]
    cloud = [deployment for deployment in able if deployment.locality is Locality.CLOUD]
    fast = Stage(name=FAST, strategy=spec.strategy, candidates=tuple(local))
    ranked = _dearest_first(_known_to_chat(spec, cloud))
    return fast, Stage(name=QUALITY, strategy=Strategy.PRIORITY, candidates=ranked)


def _known_to_chat(spec: CatalogSpec, cloud: Iterable[DeploymentFacts]) -> list[DeploymentFacts]:
    """Without the unknown models of a vendor whose models are known: its list also holds voices, images and the like."""
    chosen = {backend.name for backend in spec.backends if backend.models is not None}
    return [
        deployment
        for deployment in cloud
        if deployment.capabilities is not None
        or deployment.backend in chosen
        or not spec.prices.knows(deployment.provider)
    ]


def _dearest_first(cloud: Iterable[DeploymentFacts]) -> tuple[DeploymentFacts, ...]:
    """Price as a stand-in for quality: the rank becomes the priority, which is what the stage's strategy goes by."""
    ordered = sorted(cloud, key=lambda one: (-one.price.output, one.priority, one.key))
    return tuple(msgspec.structs.replace(one, priority=rank) for rank, one in enumerate(ordered, start=1))
