"""What a worker may take on, read off the runtime in force: room at each local backend, and the models in their memory.

Decides nothing about a job: which backend answers is routing's choice, and what is counted here is where it may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.catalog.names import LATEST
from junto.core.sensitivity import Locality

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from junto.catalog.model import Resolution
    from junto.catalog.resolve import Snapshot
    from junto.gateway.runtime import Runtime
    from junto.routing.facts import BackendLive

_AHEAD: Final = 2  # jobs claimed for each slot: one runs, one is ready; the others are ordered by the database
_WHEN_AWAY: Final = 2
_MOST_NAMES: Final = 5_000  # that are passed over in one claim; both databases take six times as many


class LocalRoom(msgspec.Struct, frozen=True):
    """How many local jobs may be claimed at once, whichever they are but for those of the models that are `full`."""

    at_once: int
    full: tuple[str, ...] = ()


class Hardware:
    """The local backends of the runtime in force, and which of them may answer for a name."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._lives: tuple[BackendLive, ...] = ()
        self._places: Mapping[str, tuple[BackendLive, ...]] = {}

    def room(self, runtime: Runtime, running: Iterable[str], most: int) -> LocalRoom:
        """The room there is beside local jobs of these models, `most` where a backend has no limit.

        Where one model may be answered by several backends, a job of it is counted where there is most room.
        """
        self._follow(runtime.snapshot)
        if not self._lives:
            return LocalRoom(most)  # they are refused by the plan, with the reason
        free = {id(live): _capacity(live, most) for live in self._lives}
        elsewhere = 0  # jobs under names that stand for nothing local any more
        for name in sorted(running, key=self._choices):
            places = self._able(name)
            if places:
                free[max(places, key=free.__getitem__)] -= 1
            else:
                elsewhere += 1
        most_left = sum(max(0, left) for left in free.values()) - elsewhere
        at_once = min((left for left in free.values() if left > 0), default=0)
        return LocalRoom(max(0, min(at_once, most_left)), self._full(free) if at_once else ())

    def _full(self, free: Mapping[int, int]) -> tuple[str, ...]:
        """The names whose backends have no room left, in each of their spellings."""
        if min(free.values()) > 0:
            return ()
        full = [
            name for name in self._places if (places := self._able(name)) and all(free[place] <= 0 for place in places)
        ]
        return tuple(spelling for name in full[:_MOST_NAMES] for spelling in (name, name + LATEST))

    def _able(self, name: str) -> list[int]:
        """The backends that a job of that model may go to: those that are up, as long as one is."""
        lives = self._places.get(name.removesuffix(LATEST), ())
        return [id(live) for live in lives if live.up] or [id(live) for live in lives]

    def _choices(self, name: str) -> int:
        return len(self._places.get(name.removesuffix(LATEST), ()))

    def _follow(self, snapshot: Snapshot) -> None:
        if snapshot is self._snapshot:
            return
        places = {name: _local_places(resolution) for name, resolution in snapshot.resolutions.items()}
        self._places = {name: found for name, found in places.items() if found}
        # Whatever a name leads to: backends, and councils, which are answered in this process and have no bound of their own.
        self._lives = tuple({id(live): live for found in self._places.values() for live in found}.values())
        self._snapshot = snapshot


def _local_places(resolution: Resolution) -> tuple[BackendLive, ...]:
    """The local backends of its first stage that has any."""
    for stage in resolution.stages:
        lives = {
            id(each.backend_live): each.backend_live
            for each in stage.candidates
            if each.locality is Locality.LOCAL and each.enabled
        }
        if lives:
            return tuple(lives.values())
    return ()


def _capacity(live: BackendLive, most: int) -> int:
    """How many jobs may be at one backend; while it is away a few find out when it is back."""
    if not live.up:
        return _WHEN_AWAY
    return most if live.slots is None else min(most, _AHEAD * live.slots)


def in_memory(runtime: Runtime) -> Sequence[str]:
    """The names that a model in a local backend's memory answers to."""
    return tuple(
        resolution.name
        for resolution in runtime.snapshot.listing()
        if any(
            each.locality is Locality.LOCAL and each.upstream_model in (each.backend_live.resident or ())
            for each in resolution.stages[0].candidates
        )
    )
