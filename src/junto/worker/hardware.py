"""What a worker may take on, read off the runtime in force: slots of local backends, and the models in their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.core.sensitivity import Locality

if TYPE_CHECKING:
    from junto.gateway.runtime import Runtime

_AHEAD: Final = 2  # jobs claimed for each slot: one runs, one is ready; the others are ordered by the database
_WHEN_AWAY: Final = 2


def local_room(runtime: Runtime, most: int) -> int:
    """How many local jobs may be claimed at once, `most` where a backend has no limit."""
    lives = {
        id(each.backend_live): each.backend_live
        for each in runtime.snapshot.deployments
        if each.locality is Locality.LOCAL and each.enabled
    }
    if not lives:
        return most  # they are refused by the plan, with the reason
    up = [live for live in lives.values() if live.up]
    if any(live.slots is None for live in up):
        return most
    return min(most, sum(_AHEAD * (live.slots or 0) for live in up) or _WHEN_AWAY)


def in_memory(runtime: Runtime) -> tuple[str, ...]:
    """The names that a model in a local backend's memory answers to."""
    return tuple(
        resolution.name
        for resolution in runtime.snapshot.listing()
        if any(
            each.locality is Locality.LOCAL and each.upstream_model in (each.backend_live.resident or ())
            for each in resolution.stages[0].candidates
        )
    )
