"""Which model is where: one entry per local deployment with its place in memory, and the cloud's with their prices. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.sensitivity import Locality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.ports.provider import Probe, Resident
    from junto.routing.facts import DeploymentFacts


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A local deployment. `loaded` is None where the backend cannot tell; sizes are bytes, and None where nobody says."""

    deployment: DeploymentFacts
    loaded: bool | None
    size_bytes: int | None = None
    vram_bytes: int | None = None
    expires_at: str = ""


def places(deployments: Sequence[DeploymentFacts], found: Mapping[str, Probe]) -> tuple[Place, ...]:
    """Every local deployment, in the catalog's order."""
    return tuple(_place(each, found.get(each.backend)) for each in deployments if each.locality is Locality.LOCAL)


def clouds(deployments: Sequence[DeploymentFacts]) -> tuple[DeploymentFacts, ...]:
    """Every deployment that is not."""
    return tuple(each for each in deployments if each.locality is not Locality.LOCAL)


def _place(deployment: DeploymentFacts, probe: Probe | None) -> Place:
    name = deployment.upstream_model
    now = deployment.backend_live.resident
    models = probe.models if probe is not None else ()
    on_disk = next((model.size_bytes for model in models if model.name == name), None)
    in_memory = _resident(name, probe) if now is not None and name in now else None
    if in_memory is None:
        return Place(deployment=deployment, loaded=None if now is None else name in now, size_bytes=on_disk)
    return Place(
        deployment=deployment,
        loaded=True,
        size_bytes=in_memory.size_bytes or on_disk,
        vram_bytes=in_memory.vram_bytes or None,
        expires_at=in_memory.expires_at,
    )


def _resident(name: str, probe: Probe | None) -> Resident | None:
    residents = probe.residents if probe is not None else None
    return next((each for each in residents or () if each.name == name), None)
