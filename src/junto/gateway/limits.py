"""Limits per client and per tenant: requests per minute, tokens per minute, requests at once, over all nodes together.

`Limiter.take` admits from what this node has leased and never waits; where that is not enough, `acquire` asks the shared store,
for all who wait in one visit. What is promised (the store's rules are in ports/limiter.py, how a node stands with it in
gateway/lessee.py):

- Requests: in any 60 seconds all nodes together admit at most the limit. A limit that is always used up yields at least 96 %
  of its figure, because what was leased and used counts from the end of its lease.
- Tokens: at each admission, the estimates of the last 60 seconds with this one are at most the limit. A request that used
  less gives the rest back; one that used more is charged with it even over the limit, and later ones wait.
- At once: as many requests run as the limit says; seats of a node that died are free after 10 seconds. A few seats may lie
  free on a node for up to 2 seconds (a quarter of the limit, shared by all nodes).
- The store is away: leases are finished, then each node admits its static share of each limit; the shares add up to the limit.
  Only a minute in which the store was lost can see more: what was granted before, and then the shares, so never twice the
  limit. When it is back, nodes tell what they admitted, and the first promise holds from the first grant on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import Overloaded, RateLimited
from junto.gateway.holdings import Account, Ask
from junto.gateway.lessee import Lessee
from junto.gateway.limit_refusals import SeatTaken, too_large, used_up
from junto.gateway.permit import Permit
from junto.ports.limiter import BucketsAway, Granted, Refused

if TYPE_CHECKING:
    from junto.core.limits import LimitedBy
    from junto.ports.clock import Clock
    from junto.ports.limiter import Answer, Buckets

_BEAT_SECONDS = 0.5
_SETTLING_BEAT_SECONDS = 0.1
_PATIENCE_SECONDS = 4.0  # that one request waits for a store that is settling, or whose answers come late
_MOST_ASKS = 64  # in one visit
_SEAT_ON_ITS_WAY_SECONDS = 0.05  # a seat that another node has just freed is not yet known to be free
_FORGET_BEATS = 60
_NO_STAMPS: Final = ()


class _Waiting:
    """A request that waits for the store."""

    __slots__ = ("ask", "future", "since")

    def __init__(self, ask: Ask, since: float) -> None:
        self.ask = ask
        self.since = since
        self.future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()


class Limiter:
    """The limits of all clients and tenants, as this node keeps them. `node_id` is unique to this process."""

    def __init__(self, buckets: Buckets, *, clock: Clock, node_id: str) -> None:
        self._buckets = buckets
        self._now = clock.monotonic
        self._wall_ms = clock.wall_ms
        self._lessee = Lessee(node_id)
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._beats = 0

    @property
    def alone(self) -> bool:
        """Whether this node goes by its static shares now."""
        return self._lessee.alone(self._now())

    async def start(self) -> None:
        """Join the other nodes, and keep in touch with them in the background."""
        if self._task is None:
            await self._visit()
            self._task = asyncio.create_task(self._run(), name="junto-limits")

    async def close(self) -> None:
        """Give everything back and leave; who still waits is let in or refused by the static shares. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._answer_all_alone()
            self._lessee.end_leases(self._now())
            with suppress(BucketsAway):
                await self._visit(leaving=True)
        await self._buckets.close()

    def take(self, by: LimitedBy, tokens: int) -> Permit | None:
        """Let a request in from what is at hand; None where the store must be asked. `tokens` is an estimate, not below 0."""
        account = self._lessee.account_at_hand(by)
        return None if account is None else self._from_hand(account, tokens, self._now())

    def _from_hand(self, account: Account, tokens: int, now: float) -> Permit | None:
        for window in account.requests:
            if window.left < 1 or now >= window.until:
                return None
        for window in account.tokens:
            if window.left < tokens or now >= window.until:
                return None
        for seats in account.seats:
            if seats.in_use >= seats.held:
                return None
        return self._taken(account, tokens, now)

    async def acquire(self, by: LimitedBy, tokens: int) -> Permit:
        """Let a request in, asking the store where needed; raises RateLimited (which limit of whom, until when), Overloaded."""
        try:
            return self.take(by, tokens) or await self._asked(by, tokens)
        except SeatTaken:
            if self._lessee.nodes == 1 or self.alone:
                raise
        await asyncio.sleep(_SEAT_ON_ITS_WAY_SECONDS)
        return await self._asked(by, tokens)

    def release(self, account: Account) -> None:
        """Give a request's seats back; for Permit."""
        now = self._now()
        for seats in account.seats:
            if self._lessee.release(seats, now):
                self._wake.set()

    def correct(self, account: Account, stamps: tuple[int, ...], more: int) -> None:
        """A request used `more` tokens than was estimated, or less; for Permit."""
        now = self._now()
        for index, window in enumerate(account.tokens):
            leased = bool(window.until) and now < window.until
            if more > 0:
                from_lease = min(more, window.left) if leased else 0
                window.left -= from_lease
                window.used += from_lease
                if more > from_lease:
                    self._lessee.charge(window, more - from_lease, now)
            elif stamps:
                if leased and stamps[index] == window.stamp and window.used >= -more:
                    window.left -= more
                    window.used += more
                else:
                    self._lessee.give_back(window, stamps[index], -more)
            window.refusal = None

    # Asking -----------------------------------------------------------------------------------------------------------

    async def _asked(self, by: LimitedBy, tokens: int) -> Permit:
        now = self._now()
        account = self._lessee.account(by, now)
        account.used_at = now
        self._refuse_known(account, tokens, now)
        if self._task is None or self._lessee.alone(now):
            return self._admit_alone(account, tokens, now)
        if not account.holdings:
            return Permit(self, account, tokens, _NO_STAMPS)
        waiting = _Waiting(Ask(account, tokens), now)
        self._waiting.append(waiting)
        self._wake.set()
        try:
            return await waiting.future
        except asyncio.CancelledError:
            if waiting.future.done() and not waiting.future.cancelled() and waiting.future.exception() is None:
                waiting.future.result().settle(0)  # it was let in while its caller was leaving
            raise

    def _taken(self, account: Account, tokens: int, now: float) -> Permit:
        account.used_at = now
        for window in account.requests:
            window.left -= 1
            window.used += 1
        for seats in account.seats:
            seats.in_use += 1
        if not account.tokens:
            return Permit(self, account, tokens, _NO_STAMPS)
        stamps = []
        for window in account.tokens:
            window.left -= tokens
            window.used += tokens
            stamps.append(window.stamp)
        return Permit(self, account, tokens, tuple(stamps))

    def _refuse_known(self, account: Account, tokens: int, now: float) -> None:
        """Raise what was refused a moment ago, and what will always be."""
        for holding, amount in zip(account.holdings, account.amounts(tokens), strict=True):
            if amount > holding.limit:
                raise too_large(holding, amount)
            refusal = holding.refusal
            if refusal is not None and now < refusal.until and amount >= refusal.amount:
                raise used_up(holding, refusal, now=now, wall_ms=self._wall_ms())

    def _admit_alone(self, account: Account, tokens: int, now: float) -> Permit:
        """Let a request in by this node's static shares, or raise RateLimited."""
        short = self._lessee.admit_alone(account, tokens, now)
        if short is not None:
            raise used_up(*short, now=now, wall_ms=self._wall_ms())
        return Permit(self, account, tokens, _NO_STAMPS)

    # Visiting the store -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SETTLING_BEAT_SECONDS if self._waiting else _BEAT_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._visit()
            except Exception:  # noqa: BLE001  whatever it is, those who wait are answered and the next visit is made
                structlog.get_logger().exception("limits.visit_failed")
                self._answer_all_alone()
                await asyncio.sleep(_BEAT_SECONDS)
            self._beats += 1
            if self._beats % _FORGET_BEATS == 0:
                self._lessee.forget_idle(self._now())

    async def _visit(self, *, leaving: bool = False) -> None:
        asked: list[_Waiting] = []
        while self._waiting and len(asked) < _MOST_ASKS:
            waiting = self._waiting.popleft()
            if not waiting.future.done():
                asked.append(waiting)
        sent = self._now()
        visit = self._lessee.visit([each.ask for each in asked], sent, leaving=leaving)
        try:
            answer = await self._buckets.visit(visit)
        except BaseException as error:
            self._lessee.lost(visit, sent)
            self._waiting.extendleft(reversed(asked))
            if not isinstance(error, BucketsAway):
                raise
            self._answer_all_alone()
        else:
            self._lessee.answered(answer, sent)
            self._tell(asked, answer, sent)

    def _tell(self, asked: list[_Waiting], answer: Answer, sent: float) -> None:
        """Answer those for whom the store decided; the others stay."""
        now = self._now()
        for waiting, outcome in zip(asked, answer.outcomes, strict=True):
            ask = waiting.ask
            if isinstance(outcome, Granted):
                stamps = self._lessee.apply(ask, outcome, answer, sent, now)
                if stamps is not None:
                    self._let_in(waiting, Permit(self, ask.account, ask.tokens, stamps))
                    continue
            elif isinstance(outcome, Refused):
                # What is missing may have gone to this very node, as the spare of another one's grant in the same visit.
                permit = self._from_hand(ask.account, ask.tokens, now)
                if permit is not None:
                    self._let_in(waiting, permit)
                    continue
                holding, refusal = self._lessee.refused(ask, outcome, now)
                if not waiting.future.done():
                    waiting.future.set_exception(used_up(holding, refusal, now=now, wall_ms=self._wall_ms()))
                continue
            self._waiting.append(waiting)
        self._stay(now, at_once=not answer.settling_ms)

    def _stay(self, now: float, *, at_once: bool) -> None:
        """See to those who still wait: the static shares decide where they may; nobody waits for long."""
        if self._lessee.alone(now):
            self._answer_all_alone()
        while self._waiting and now - self._waiting[0].since > _PATIENCE_SECONDS:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_exception(Overloaded("The limits cannot be checked right now.", retry_after=1.0))
        if self._waiting and at_once:
            self._wake.set()

    def _let_in(self, waiting: _Waiting, permit: Permit) -> None:
        if waiting.future.done():
            permit.settle(0)  # its caller has left
        else:
            waiting.future.set_result(permit)

    def _answer_all_alone(self) -> None:
        now = self._now()
        while self._waiting:
            self._answer_alone(self._waiting.popleft(), now)

    def _answer_alone(self, waiting: _Waiting, now: float) -> None:
        if waiting.future.done():
            return
        try:
            permit = self._admit_alone(waiting.ask.account, waiting.ask.tokens, now)
        except RateLimited as error:
            waiting.future.set_exception(error)
        else:
            waiting.future.set_result(permit)
