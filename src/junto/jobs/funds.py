"""What pays for a job's answer that has no maximum: its reservation, made larger as the answer grows.

The first thousand tokens were reserved at submit. An attempt after the first begins with what those before it had reserved.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from junto.core.errors import Overloaded
from junto.jobs.request import decode_request

if TYPE_CHECKING:
    from junto.ports.clock import Clock
    from junto.ports.jobs import Claim, Job, WorkStore

_PATIENCE_SECONDS: Final = 20.0
_AGAIN_SECONDS: Final = 0.5


def may_hold(job: Job) -> bool:
    """Whether a budget may hold something back for a job; not known of one whose request cannot be read."""
    return not job.request or decode_request(job.request).held_nano > 0


class JobFunds:
    """The reservation of one claim's job, as gateway/payment.py's Funds."""

    __slots__ = ("_again", "_claim", "_clock", "_nano", "_store")

    def __init__(self, claim: Claim, store: WorkStore, clock: Clock, *, again: float = _AGAIN_SECONDS) -> None:
        self._claim = claim
        self._store = store
        self._clock = clock
        self._again = again
        self._nano: int | None = None

    async def extend(self, nano: int) -> bool:
        """Reserve so much more; False when a budget has no room, the claim is lost, or the database stays away."""
        if self._nano is None:
            self._nano = decode_request(self._claim.job.request).held_nano
        if not self._nano:  # no budget pays for it
            return True
        wanted = self._nano + nano
        until = self._clock.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                has_room = await self._store.hold(self._claim, wanted)
            except Overloaded:  # a database that restarts must not cut answers short
                if self._clock.monotonic() >= until:
                    return False
                await asyncio.sleep(self._again)
                continue
            if has_room:
                self._nano = wanted
            return has_room
