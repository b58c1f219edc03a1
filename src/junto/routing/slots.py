"""The waiting room of a local backend: bounded, classes in order of precedence, fair within each class.

A data structure and its arithmetic; holding slots, waking waiters and the clock are gateway/slots.py's. A higher class goes
first, but not for ever: a class that was passed over `patience` times in a row is served once, so everything is served
after a bounded number of others.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

import msgspec

from junto.routing.lane import Batch, Lane, Ticket, WorkClass


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the backend works: slots, seconds that one ticket holds a slot, seconds that a swap of models takes."""

    slots: int = 1
    seconds_each: float = 0.0
    swap_seconds: float = 0.0


class RefusalCause(StrEnum):
    """Why a ticket was not let in."""

    FULL = "full"
    CLIENT_FULL = "client_full"
    DEADLINE = "deadline"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket was not let in; `retry_after` is the seconds after which asking again makes sense."""

    cause: RefusalCause
    retry_after: float


def expected_wait(*, ahead: int, pace: Pace, swaps: int = 0) -> float:
    """Seconds until a slot is free for a ticket with `ahead` tickets before it, while all slots are taken."""
    return (ahead + 1) * pace.seconds_each / max(pace.slots, 1) + swaps * pace.swap_seconds


class FairQueue:
    """Tickets that wait for a slot of one backend: at most `limit` in all, and `client_limit` of one client."""

    __slots__ = ("_client_limit", "_lanes", "_last_model", "_limit", "_passed_over", "_patience", "_tickets")

    def __init__(
        self, limit: int, *, client_limit: int | None = None, batch: Batch | None = None, patience: int = 32
    ) -> None:
        self._limit = limit
        self._client_limit = limit if client_limit is None else client_limit
        self._patience = patience
        self._lanes = {work: Lane(batch or Batch()) for work in WorkClass}
        self._passed_over = dict.fromkeys(WorkClass, 0)
        self._tickets: dict[int, Ticket] = {}
        self._last_model = ""

    def __len__(self) -> int:
        return len(self._tickets)

    def __contains__(self, id: int) -> bool:
        return id in self._tickets

    def push(
        self,
        ticket: Ticket,
        *,
        pace: Pace | None = None,
        remaining: float | None = None,
        resident: Collection[str] | None = None,
    ) -> Refusal | None:
        """Let a ticket in, or say why not: no place, or its wait would pass the deadline (`remaining` seconds from now)."""
        if ticket.id in self._tickets:
            raise ValueError(f"ticket {ticket.id} waits already")
        pace = pace or Pace()
        if len(self._tickets) >= self._limit:
            return Refusal(cause=RefusalCause.FULL, retry_after=expected_wait(ahead=0, pace=pace))
        if sum(lane.waiting_of(ticket.client) for lane in self._lanes.values()) >= self._client_limit:
            return Refusal(cause=RefusalCause.CLIENT_FULL, retry_after=expected_wait(ahead=0, pace=pace))
        if remaining is not None:
            wait = self.wait_for(ticket, pace=pace, resident=resident)
            if wait > remaining:
                return Refusal(cause=RefusalCause.DEADLINE, retry_after=wait - remaining)
        if not len(self._lanes[ticket.work]):
            self._passed_over[ticket.work] = 0
        self._lanes[ticket.work].push(ticket)
        self._tickets[ticket.id] = ticket
        return None

    def pop(self, now: float, resident: Collection[str] | None = None) -> Ticket | None:
        """Take the ticket that gets the next free slot, None if nobody waits.

        `resident` are the models that were last seen in memory, None where that is not known. A report without the model
        of the last ticket taken is older than that ticket, so then that model alone counts as loaded.
        """
        work = self._class_due()
        if work is None:
            return None
        ticket = self._lanes[work].pop(now, self._resident(resident))
        del self._tickets[ticket.id]
        self._last_model = ticket.model
        self._passed_over[work] = 0
        for lower in WorkClass:
            if lower > work and len(self._lanes[lower]):
                self._passed_over[lower] += 1
        return ticket

    def remove(self, id: int) -> Ticket | None:
        """Take a ticket out whose caller went away; None if it does not wait (any more)."""
        ticket = self._tickets.pop(id, None)
        if ticket is not None:
            self._lanes[ticket.work].remove(ticket)
        return ticket

    def served(self, ticket: Ticket, tokens: int) -> None:
        """A ticket that was taken has ended and took so many tokens: its client is charged that instead of the estimate."""
        self._lanes[ticket.work].settle(ticket, tokens)

    def positions(self) -> dict[int, int]:
        """The place of each waiting ticket, 1 for the next, if nobody else comes and nothing is batched."""
        waiting = (ticket.id for lane in self._lanes.values() for ticket in lane.in_order())
        return {id: place for place, id in enumerate(waiting, start=1)}

    def position(self, id: int) -> int | None:
        """The place of one waiting ticket, None if it does not wait. For many, ask `positions` once."""
        return self.positions().get(id) if id in self._tickets else None

    def wait_for(self, ticket: Ticket, *, pace: Pace, resident: Collection[str] | None = None) -> float:
        """Seconds that a ticket would wait, were it pushed now."""
        ahead = [each for work, lane in self._lanes.items() if work < ticket.work for each in lane.in_order()]
        ahead += self._lanes[ticket.work].ahead_of(ticket)
        models = {ticket.model, *(each.model for each in ahead)}
        swaps = len(models.difference(self._resident(resident)))
        return expected_wait(ahead=len(ahead), pace=pace, swaps=swaps)

    def _resident(self, resident: Collection[str] | None) -> Collection[str]:
        if resident is not None and (not self._last_model or self._last_model in resident):
            return resident
        return (self._last_model,)

    def _class_due(self) -> WorkClass | None:
        waiting = [work for work in WorkClass if len(self._lanes[work])]
        if not waiting:
            return None
        overdue = max(waiting, key=self._passed_over.__getitem__)
        return overdue if self._passed_over[overdue] >= self._patience else waiting[0]
