"""What a proposal makes of a route, and what a changed route makes of a proposal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.ports.proposals import Change, ProposalStatus
from junto.routing.evidence import Canary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from junto.ports.proposals import Proposal, Trio
    from junto.ports.routes import RouteVersion
    from junto.routing.routes import Route


def promoted(route: Route, candidate: str, *, keeps_incumbent: bool = False) -> Route:
    """The route with the candidate in the incumbent's place, and no shadow of itself.

    The incumbent becomes the fallback where the candidate was that, and, with `keeps_incumbent`, where there is none.
    """
    fallback = route.fallback_model
    if fallback == candidate or (fallback is None and keeps_incumbent):
        fallback = route.preferred_model
    return msgspec.structs.replace(
        route,
        preferred_model=candidate,
        fallback_model=fallback,
        shadow_models=tuple(shadow for shadow in route.shadow_models if shadow.model != candidate),
        canary=None,
    )


def with_canary(route: Route, candidate: str, share: float) -> Route:
    """The route with the candidate answering a share."""
    return msgspec.structs.replace(route, canary=Canary(model=candidate, share=share))


def without_canary(route: Route) -> Route:
    """The route with nobody but the model that it prefers."""
    return msgspec.structs.replace(route, canary=None)


def is_shadowed(trio: Trio, route: Route) -> bool:
    """Whether the route prefers the incumbent, and the candidate answers beside it."""
    return route.preferred_model == trio.incumbent and any(one.model == trio.candidate for one in route.shadow_models)


def has_canary(trio: Trio, route: Route) -> bool:
    """Whether the candidate answers a share of what the incumbent is meant to answer."""
    return route.preferred_model == trio.incumbent and route.canary is not None and route.canary.model == trio.candidate


def begun_ms(versions: Iterable[RouteVersion], so: Callable[[Route], bool]) -> int:
    """Since when that is so without a break, by a route's versions from the newest on; 0 where it is not so."""
    begun = 0
    for version in versions:
        if version.route is None or not so(version.route):
            break
        begun = version.created_ms
    return begun


def reconciled(proposal: Proposal, route: Route | None) -> Change | None:
    """What becomes of a live proposal when the route in force is another version than its own; None: all is as it was."""
    is_canary = proposal.status is ProposalStatus.CANARY
    its_version = proposal.new_version if is_canary else proposal.route_version
    if route is None:
        return Change(status=ProposalStatus.SUPERSEDED, reason="The route was deleted.")
    if route.version == its_version:
        return None
    if has_canary(proposal.trio, route):
        return Change(
            status=ProposalStatus.CANARY,
            reason=f"It answers a share since version {route.version} or before.",
            by=proposal.decided_by,
            new_version=route.version,
        )
    if route.preferred_model == proposal.trio.candidate:
        reason = f"The route leads to it since version {route.version} or before."
        return Change(status=ProposalStatus.ACCEPTED, reason=reason, by=proposal.decided_by, new_version=route.version)
    told = "it has this canary no more" if is_canary else f"this was about version {its_version}"
    return Change(
        status=ProposalStatus.SUPERSEDED,
        reason=f"The route is at version {route.version}, and {told}.",
        by=proposal.decided_by,
    )
