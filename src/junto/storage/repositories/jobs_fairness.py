"""Fair order across clients: each job carries the virtual time at which its client's share comes to it.

Self-clocked fair queueing: a job's tag is what it takes of its client's share, on top of the client's last tag or of the tag that
is in service, whichever is later. So a client with a backlog waits in turn with one that has just come, and a pause earns
nothing. What is in service is a hint that each node keeps for itself: one that lags a little lets newcomers in a little early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from junto.ports.jobs import Status
from junto.storage.tables.jobs import JOBS

if TYPE_CHECKING:
    from junto.storage.sessions import Session


class VirtualTime:
    """The latest tag in service that this node knows of; only ever grows."""

    def __init__(self) -> None:
        self._now = 0

    def tag(self, last_of_client: int, charge: int) -> int:
        """The tag of a client's next job."""
        return max(last_of_client, self._now) + max(charge, 1)

    def served(self, tag: int) -> None:
        """A job with that tag is in service."""
        self._now = max(self._now, tag)

    async def look(self, session: Session) -> None:
        """Learn what other nodes serve; the session must see all tenants."""
        asked = select(func.max(JOBS.c.turn)).where(JOBS.c.status == Status.RUNNING.value)
        self.served(int((await session.execute(asked)).scalar() or 0))
