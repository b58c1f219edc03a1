"""The slots of one backend: who may send now, who waits, and in what order.

Owns the effects (futures, the waiting); the order is the pure FairQueue of routing/slots.py. A slot that was acquired is
released exactly once, on every way out.

The operator's replays never wait here: they get a slot that is free, or none, and give it back the moment anybody else would wait.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

from junto.core.errors import FailureKind, UpstreamFailure
from junto.routing.lane import Ticket, WorkClass
from junto.routing.slots import FairQueue, Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.gateway.exchange import Exchange
    from junto.gateway.runtime import Target
    from junto.ports.clock import Clock
    from junto.routing.facts import BackendLive, Live

QUEUE_LIMIT = 256
TELL_PLACE_EVERY = 10.0  # seconds between two progress comments to a waiting stream
_USUAL_ANSWER = 512  # tokens that an answer is expected to have when its request sets no maximum


class Slot:
    """The right to send one request to a backend."""

    __slots__ = ("_pool", "_released", "_ticket")

    def __init__(self, pool: SlotPool, ticket: Ticket | None) -> None:
        self._pool = pool
        self._ticket = ticket
        self._released = False

    def release(self, tokens: int) -> None:
        """Give the slot back, telling how many tokens were served; safe to call twice."""
        if not self._released:
            self._released = True
            self._pool.forget(self)
            self._pool.give_back(self._ticket, tokens)


class SlotPool:
    """The slots of one backend and the queue in front of them; kept across reloads."""

    def __init__(
        self, live: BackendLive, *, clock: Clock, queue_limit: int = QUEUE_LIMIT, tell_every: float = TELL_PLACE_EVERY
    ) -> None:
        self._live = live
        self._clock = clock
        self._tell_every = tell_every
        self._queue = FairQueue(queue_limit)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._lent: dict[Slot, Callable[[], None]] = {}  # to replays: how to have each back
        self._ids = count()

    async def acquire(self, exchange: Exchange, target: Target) -> Slot:
        """A slot, at once or when it is this request's turn.

        Raises UpstreamFailure(QUEUE_FULL) when there is no place in the queue, or the wait would pass the caller's
        deadline: another backend may be free.
        """
        live = self._live
        if not self._waiting and (live.slots is None or live.in_use < live.slots):
            live.in_use += 1
            slot = Slot(self, None)
            if exchange.arrival.give_way is not None:
                self._lent[slot] = exchange.arrival.give_way
            return slot
        if exchange.arrival.purpose:
            raise UpstreamFailure(FailureKind.QUEUE_FULL, "a replay waits for nobody")
        ticket = self._ticket(exchange, target)
        self._push(ticket, exchange, target, is_served_next=self._have_back())
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[ticket.id] = turn
        live.queued = len(self._waiting)
        try:
            await self._until(turn, ticket, exchange)
        except BaseException:
            self._leave(ticket, turn)
            raise
        return Slot(self, ticket)

    def forget(self, slot: Slot) -> None:
        """The slot is on its way back by itself."""
        if self._lent:
            self._lent.pop(slot, None)

    def give_back(self, ticket: Ticket | None, tokens: int) -> None:
        """Take a freed slot back and let the next request in."""
        self._live.in_use -= 1
        if ticket is not None:
            self._queue.served(ticket, tokens)
        if self._waiting:
            self.grant()

    def grant(self) -> None:
        """Let waiting requests in while there are slots; called again when a reload changes their number."""
        live = self._live
        while self._waiting and (live.slots is None or live.in_use < live.slots):
            ticket = self._queue.pop(self._clock.monotonic(), live.resident)
            if ticket is None:
                break
            turn = self._waiting.pop(ticket.id)
            if turn.done():  # cancelled a moment ago: its caller is just leaving
                self._queue.served(ticket, 0)
                continue
            live.in_use += 1
            turn.set_result(None)
        live.queued = len(self._waiting)

    def _have_back(self) -> bool:
        """Ask one replay, the latest, for its slot; whether there was one."""
        if not self._lent:
            return False
        _, give_way = self._lent.popitem()
        give_way()
        return True

    def _push(self, ticket: Ticket, exchange: Exchange, target: Target, *, is_served_next: bool) -> None:
        timeout = None if is_served_next else exchange.arrival.timeout
        refusal = self._queue.push(
            ticket,
            pace=self._pace(target.deployment.live),
            remaining=None if timeout is None else exchange.started + timeout - self._clock.monotonic(),
            resident=self._live.resident,
        )
        if refusal is not None:
            raise UpstreamFailure(FailureKind.QUEUE_FULL, refusal.cause.value, retry_after=refusal.retry_after)

    async def _until(self, turn: asyncio.Future[None], ticket: Ticket, exchange: Exchange) -> None:
        tell = exchange.arrival.on_wait if exchange.head.stream else None
        if tell is None:
            await turn
            return
        while not turn.done():
            await asyncio.wait({turn}, timeout=self._tell_every)
            if not turn.done():
                await tell(self._queue.position(ticket.id) or 0)

    def _leave(self, ticket: Ticket, turn: asyncio.Future[None]) -> None:
        if self._waiting.pop(ticket.id, None) is not None:
            self._queue.remove(ticket.id)
            self._live.queued = len(self._waiting)
        elif turn.done() and not turn.cancelled():
            self.give_back(ticket, 0)  # it was granted while the caller was leaving

    def _pace(self, live: Live) -> Pace:
        seconds = live.ttft + (_USUAL_ANSWER / live.rate if live.rate else 0.0)
        return Pace(slots=self._live.slots or 1, seconds_each=seconds, swap_seconds=live.load)

    def _ticket(self, exchange: Exchange, target: Target) -> Ticket:
        head = exchange.head
        return Ticket(
            id=next(self._ids),
            client=exchange.principal.client_id or exchange.principal.client,
            weight=exchange.principal.weight,
            work=_work(exchange),
            model=target.deployment.upstream_model,
            cost_tokens=head.prompt_tokens + (head.max_tokens or _USUAL_ANSWER),
            enqueued_at=self._clock.monotonic(),
        )


def _work(exchange: Exchange) -> WorkClass:
    arrival = exchange.arrival
    if arrival.purpose:
        return WorkClass.SHADOW
    if arrival.job_id:
        return WorkClass.JOB
    return WorkClass.COUNCIL if arrival.parent_id else WorkClass.INTERACTIVE
