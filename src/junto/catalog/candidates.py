"""Models that would take a route over, as the catalog has them now: which deployments they are, and what speaks against them.

Decides nothing about how good they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import UnknownModel
from junto.core.sensitivity import Locality, Sensitivity

if TYPE_CHECKING:
    from junto.catalog.resolve import Snapshot
    from junto.routing.facts import DeploymentFacts
    from junto.routing.routes import Route


def models_behind(snapshot: Snapshot, name: str) -> frozenset[str]:
    """The models that answer under a name, without its fallbacks; the name itself where nothing serves it now."""
    return frozenset(facts.model for facts in _serving(snapshot, name)) or frozenset({name})


def why_not(snapshot: Snapshot, route: Route, candidate: str) -> str | None:
    """Why that model may never take the route over as things are; None: nothing speaks against it."""
    serving = _serving(snapshot, candidate)
    if not serving:
        return f"Nothing here serves {candidate!r} now."
    if models_behind(snapshot, candidate) <= models_behind(snapshot, route.preferred_model):
        return f"{candidate!r} is what answers already."
    if route.sensitivity is Sensitivity.CONFIDENTIAL and not any(one.locality is Locality.LOCAL for one in serving):
        return f"Confidential content stays on local models, and {candidate!r} has none."
    return None


def serves_everybody(snapshot: Snapshot, route: Route, candidate: str) -> bool:
    """Whether it may answer the route's requests of clients who do not let their internal content into the cloud, too."""
    if route.sensitivity is Sensitivity.PUBLIC:
        return True
    return any(one.locality is Locality.LOCAL for one in _serving(snapshot, candidate))


def _serving(snapshot: Snapshot, name: str) -> list[DeploymentFacts]:
    try:
        stages = snapshot.resolve(name).stages
    except UnknownModel:
        return []
    return [facts for facts in stages[0].candidates if facts.enabled] if stages else []
