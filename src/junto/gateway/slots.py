"""The slots of one backend: who may send now, who waits, and in what order.

Owns the effects (futures, the waiting); the order is the pure FairQueue of routing/slots.py. A slot that was acquired is
released exactly once, on every way out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from junto.core.errors import FailureKind, Overloaded, UpstreamFailure
from junto.routing.slots import FairQueue, Ticket, expected_wait

if TYPE_CHECKING:
    from junto.gateway.exchange import Exchange
    from junto.gateway.runtime import Target
    from junto.ports.clock import Clock
    from junto.routing.facts import BackendLive

QUEUE_LIMIT = 256
_TELL_PLACE_EVERY = 10.0  # seconds between two progress comments to a waiting stream
_USUAL_ANSWER = 512  # tokens that an answer is expected to have when its request sets no maximum


class Slot:
    """The right to send one request to a backend."""

    __slots__ = ("_client", "_pool", "_released")

    def __init__(self, pool: SlotPool, client: str) -> None:
        self._pool = pool
        self._client = client
        self._released = False

    def release(self, tokens: int) -> None:
        """Give the slot back, telling how many tokens the client was served; safe to call twice."""
        if not self._released:
            self._released = True
            self._pool.give_back(self._client, tokens)


class SlotPool:
    """The slots of one backend and the queue in front of them; kept across reloads."""

    def __init__(self, live: BackendLive, *, clock: Clock, queue_limit: int = QUEUE_LIMIT) -> None:
        self._live = live
        self._clock = clock
        self._queue = FairQueue(queue_limit)
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def acquire(self, exchange: Exchange, target: Target) -> Slot:
        """A slot, at once or when it is this request's turn.

        Raises UpstreamFailure(QUEUE_FULL) when there is no place in the queue, Overloaded when the wait would pass the
        caller's deadline.
        """
        live = self._live
        client = exchange.principal.client
        if not self._waiting and (live.slots is None or live.in_use < live.slots):
            live.in_use += 1
            return Slot(self, client)
        self._refuse_hopeless(exchange, target)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._queue.push(self._ticket(exchange, target)):
            raise UpstreamFailure(FailureKind.QUEUE_FULL, retry_after=self._wait(target))
        self._waiting[exchange.id] = turn
        live.queued = len(self._waiting)
        try:
            await self._until(turn, exchange)
        except BaseException:
            self._leave(exchange.id, turn, client)
            raise
        return Slot(self, client)

    def give_back(self, client: str, tokens: int) -> None:
        """A slot has become free: who is next?"""
        self._live.in_use -= 1
        self._queue.served(client, tokens)
        self.grant()

    def grant(self) -> None:
        """Let waiting requests in while there are slots; called again when a reload changes their number."""
        live = self._live
        while self._waiting and (live.slots is None or live.in_use < live.slots):
            ticket = self._queue.pop(self._clock.monotonic())
            if ticket is None:
                break
            turn = self._waiting.pop(ticket.id)
            live.in_use += 1
            turn.set_result(None)
        live.queued = len(self._waiting)

    async def _until(self, turn: asyncio.Future[None], exchange: Exchange) -> None:
        tell = exchange.arrival.on_wait if exchange.head.stream else None
        if tell is None:
            await turn
            return
        while not turn.done():
            await asyncio.wait({turn}, timeout=_TELL_PLACE_EVERY)
            if not turn.done():
                await tell(self._queue.position(exchange.id) or 0)

    def _leave(self, exchange_id: str, turn: asyncio.Future[None], client: str) -> None:
        if self._waiting.pop(exchange_id, None) is not None:
            self._queue.remove(exchange_id)
            self._live.queued = len(self._waiting)
        elif turn.done() and not turn.cancelled():
            self.give_back(client, 0)  # it was granted while the caller was leaving

    def _refuse_hopeless(self, exchange: Exchange, target: Target) -> None:
        timeout = exchange.arrival.timeout
        if timeout is None:
            return
        remaining = exchange.started + timeout - self._clock.monotonic()
        wait = self._wait(target)
        if wait > remaining:
            raise Overloaded("The queue is longer than the request's deadline.", retry_after=wait)

    def _wait(self, target: Target) -> float:
        live = target.deployment.live
        return expected_wait(
            ahead=len(self._waiting), slots=self._live.slots or 1, rate=live.rate, ttft=live.ttft, tokens=_USUAL_ANSWER
        )

    def _ticket(self, exchange: Exchange, target: Target) -> Ticket:
        head = exchange.head
        return Ticket(
            id=exchange.id,
            client=exchange.principal.client,
            weight=exchange.principal.weight,
            model=target.deployment.upstream_model,
            cost_tokens=head.prompt_tokens + (head.max_tokens or _USUAL_ANSWER),
            enqueued_at=self._clock.monotonic(),
        )
