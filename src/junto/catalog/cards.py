"""What there is to say about each name a caller can ask for: the join of a snapshot and what the backends told. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.catalog.model import Kind, Resolution
from junto.core.capability import Capability
from junto.core.money import FREE, Price
from junto.core.sensitivity import Locality
from junto.ports.provider import FoundModel, Probe, Resident

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.routing.facts import DeploymentFacts

_OWN = frozenset({Kind.GROUP, Kind.TASK, Kind.COUNCIL, Kind.AGENT})


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One name: what kind it is, who serves it and what it can do. `found` is the backend's own word about it, if any."""

    name: str
    kind: Kind
    provider: str
    backends: tuple[str, ...]
    localities: tuple[Locality, ...]
    capabilities: Capability | None
    context_length: int | None
    price: Price
    found: FoundModel | None
    resident: Resident | None


def card(resolution: Resolution, found: Mapping[str, Probe]) -> ModelCard:
    """The card of one name; of a group, what its first able stage says."""
    stage = next((stage for stage in resolution.stages if stage.candidates), None)
    deployments = stage.candidates if stage is not None else ()
    first = deployments[0] if deployments else None
    return ModelCard(
        name=resolution.name,
        kind=resolution.kind,
        provider="junto" if first is None or resolution.kind in _OWN else first.provider,
        backends=tuple(dict.fromkeys(deployment.backend for deployment in deployments)),
        localities=tuple(sorted({deployment.locality for deployment in deployments})),
        capabilities=_shared(deployments),
        context_length=min((d.context_length for d in deployments if d.context_length), default=None),
        price=first.price if first is not None else FREE,
        found=_found(first, found),
        resident=_resident(deployments, found),
    )


def _shared(deployments: tuple[DeploymentFacts, ...]) -> Capability | None:
    """What every deployment can do; None where one does not say."""
    shared: Capability | None = None
    for deployment in deployments:
        if deployment.capabilities is None:
            return None
        shared = deployment.capabilities if shared is None else shared & deployment.capabilities
    return shared


def _found(deployment: DeploymentFacts | None, found: Mapping[str, Probe]) -> FoundModel | None:
    if deployment is None or deployment.backend not in found:
        return None
    models = found[deployment.backend].models
    return next((model for model in models if model.name == deployment.upstream_model), None)


def _resident(deployments: tuple[DeploymentFacts, ...], found: Mapping[str, Probe]) -> Resident | None:
    for deployment in deployments:
        probe = found.get(deployment.backend)
        for resident in (probe.residents or ()) if probe is not None else ():
            if resident.name == deployment.upstream_model:
                return resident
    return None
