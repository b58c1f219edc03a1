"""A node's purse: budgets are asked for money ahead of the requests, in chunks, so that a request costs no round trip.

A chunk is a reservation in the database, held by this life of this node. Requests hold parts of it, and what they used stays
reserved until the transaction that writes their ledger entries turns it into spent. Chunks grow with use and shrink towards the
end of a budget, where just what is needed is drawn: nothing that this node could pay is refused, and no budget is passed.

What idles is given back after `idle` seconds. Reservations are leases: a node that is gone for `lease` seconds loses them, and
does not use credit that it might have lost. With the database away it pays from what is at hand, and then refuses with 503.

Knows no database (ports/money.py does) and writes no ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import Overloaded
from junto.gateway.credit import BOUNDLESS, Account, Credit, Hold
from junto.ports.money import NoRoom, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.identity.principal import Budget
    from junto.ports.clock import Clock
    from junto.ports.money import CreditStore, Drawn

_log = structlog.get_logger(__name__)

_FORGET_SECONDS: Final = 600.0  # an account that nobody used for so long and that holds nothing
_TICK_SECONDS: Final = 1.0
_SWEEP_EVERY: Final = 5  # ticks
_GRACE_SECONDS: Final = 30.0
_MARGIN: Final = 0.9  # of a lease, by this node's own clock, and it is used no more
_RENEWALS: Final = 4  # in one lease
_RANK: Final = {"key": 0, "client": 1, "tenant": 2}


class Purse:
    """Hands out money to requests. One for a process; `holder` names this life of this node: `<node>:<life>`.

    `replayed` says whether the journal that an earlier life left behind is in the database: only then is what that life had
    drawn and not used given back.
    """

    def __init__(
        self,
        store: CreditStore,
        clock: Clock,
        *,
        holder: str,
        replayed: Callable[[], bool] = lambda: True,
        lease: float = 300.0,
        idle: float = 3.0,
        tick: float = _TICK_SECONDS,
    ) -> None:
        self._store = store
        self._monotonic = clock.monotonic
        self._holder = holder
        self._replayed = replayed
        self._lease = lease
        self._idle = idle
        self._tick = tick
        self._accounts: dict[str, Account] = {}
        self._left: list[Credit] = []  # begun before the present ones, and with requests still
        self._numbers = count(1)
        self._drawing: set[asyncio.Task[Hold]] = set()
        self._task: asyncio.Task[None] | None = None
        self._renewed = self._unsure = clock.monotonic()  # when the database was last found away
        self._recovered = False

    def reserve(self, budgets: tuple[Budget, ...], nano: int) -> Hold | None:
        """Hold that much from each of these budgets, if it is at hand; None: `acquire` has to ask for it.

        Nothing is asked of a budget for a request that costs nothing (`nano` 0).
        """
        now = self._monotonic()
        accounts = self._accounts
        credits = []
        for budget in budgets:
            account = accounts.get(budget.id)
            if nano:
                if account is None or not account.covers(budget, nano, now):
                    return None
            elif account is None:
                account = self._account(budget)
            account.used_at = now
            credits.append(account.credit)
        for credit in credits:
            credit.free -= nano
            credit.held += nano
        return Hold(self, budgets, tuple(credits), nano)

    async def acquire(self, budgets: tuple[Budget, ...], nano: int) -> Hold:
        """As `reserve`, and draws from the database what is not at hand.

        Raises BudgetExceeded (402) when a budget has no room, Overloaded (503) when it cannot be asked.
        """
        hold = self.reserve(budgets, nano)
        if hold is not None:
            return hold
        # A caller who goes away must not cut the drawing short: then nobody would know what was drawn.
        drawing = asyncio.create_task(self._acquire(budgets, nano), name="junto-purse-draw")
        self._drawing.add(drawing)
        drawing.add_done_callback(self._drawing.discard)
        try:
            return await asyncio.shield(drawing)
        except asyncio.CancelledError:
            drawing.add_done_callback(_give_up)
            raise

    def start(self) -> None:
        """Renew, give back what idles and sweep in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="junto-purse")

    async def stop(self) -> None:
        """Give back what is at hand, as far as the database answers. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._drawing:
            await asyncio.wait(self._drawing)
        with contextlib.suppress(Overloaded):
            await self.give_back(idle=-1.0)

    async def give_back(self, *, idle: float | None = None) -> None:
        """Give back the free credit of accounts that nobody used for so many seconds."""
        before = self._monotonic() - (self._idle if idle is None else idle)
        quiet = [
            account
            for account in self._accounts.values()
            if 0 < account.credit.free < BOUNDLESS // 2 and account.used_at < before and not account.lock.locked()
        ]
        async with AsyncExitStack() as stack:
            for account in quiet:
                await stack.enter_async_context(account.lock)
            await self._return(quiet)

    async def _acquire(self, budgets: tuple[Budget, ...], nano: int) -> Hold:
        accounts = [self._account(budget) for budget in sorted(budgets, key=_order)]
        async with AsyncExitStack() as stack:
            for account in accounts:
                await stack.enter_async_context(account.lock)
            while True:
                hold = self.reserve(budgets, nano)
                if hold is not None:
                    return hold
                await self._follow_limits(budgets)
                now = self._monotonic()
                short = [one for one in accounts if not one.covers(one.budget, nano, now)]
                if short:
                    await self._draw(short, nano)

    async def _follow_limits(self, budgets: Sequence[Budget]) -> None:
        """Give back what was drawn under a higher limit than there is now."""
        lowered = [
            (account, budget)
            for budget in budgets
            if (account := self._accounts[budget.id]).budget is not budget
            and budget.limit_nano < account.budget.limit_nano
        ]
        if lowered:
            await self._return([account for account, _ in lowered if account.credit.free])
        for account, budget in lowered:
            account.budget = budget

    async def _draw(self, short: Sequence[Account], nano: int) -> None:
        """Draw what these accounts lack, and more ahead. Their locks are held."""
        now = self._monotonic()
        credits = [self._credit_to_fill(account, now) for account in short]
        for account, credit in zip(short, credits, strict=True):
            account.refuse_again(nano - credit.free, now)
        wanted = [
            Wanted(
                budget_id=account.budget.id,
                reservation_id=credit.id,
                least=(least := max(0, nano - credit.free)),
                most=least + account.more_ahead(nano, now),
            )
            for account, credit in zip(short, credits, strict=True)
        ]
        try:
            drawn = await self._store.draw(self._holder, wanted, lease_ms=int(self._lease * 1000))
        except NoRoom as refusal:
            account = self._accounts[refusal.budget_id]
            account.refused(refusal, self._monotonic())
            raise
        except BaseException:
            for account in short:
                account.doubtful = True
            raise
        for account, credit, got in zip(short, credits, drawn, strict=True):
            self._fill(account, credit, got, now, nano)

    def _credit_to_fill(self, account: Account, now: float) -> Credit:
        """The account's credit, or a new one where the present one cannot be relied on any more."""
        if account.doubtful or (account.credit.free and now >= account.good_until):
            return Credit(self._new_id())
        return account.credit

    def _fill(self, account: Account, credit: Credit, got: Drawn | None, now: float, nano: int) -> None:
        """Take what was drawn, for a request of `nano`; a budget that was removed holds back nothing, however much is asked."""
        credit.free = BOUNDLESS + nano if got is None else credit.free + got.amount
        if credit is not account.credit:
            self._leave(account, credit)
        account.good_until = now + self._lease * _MARGIN
        account.drawn_at = now
        account.refusal = None

    def _leave(self, account: Account, credit: Credit) -> None:
        """Go on with another credit; the old one keeps its lease until its requests have ended, and then runs out."""
        if account.credit.held:
            self._left.append(account.credit)
        account.credit.free = 0
        account.credit, account.doubtful = credit, False

    async def _return(self, accounts: Sequence[Account]) -> None:
        amounts = {
            account.credit.id: account.credit.free for account in accounts if account.credit.free < BOUNDLESS // 2
        }
        for account in accounts:
            account.credit.free = 0
            account.refusal = None
        if not amounts:  # of a budget that was removed nothing is to be given back
            return
        try:
            await self._store.give_back(amounts)
        except BaseException:
            for account in accounts:
                account.doubtful = True
            raise

    def _account(self, budget: Budget) -> Account:
        account = self._accounts.get(budget.id)
        if account is None:
            account = Account(budget, Credit(self._new_id()), self._monotonic())
            self._accounts[budget.id] = account
        return account

    def _new_id(self) -> str:
        return f"{self._holder}.{next(self._numbers)}"

    async def _run(self) -> None:
        away = False
        for tick in count(1):
            await asyncio.sleep(self._tick)
            try:
                await self.tend(sweep=tick % _SWEEP_EVERY == 0)
            except Overloaded as error:
                if not away:
                    _log.warning("purse.database_away", error=str(error.__cause__ or error))
                away, self._unsure = True, self._monotonic()
            except Exception:  # noqa: BLE001  whatever it is, what is held must be renewed at the next tick
                _log.exception("purse.failed")
            else:
                away = False

    async def tend(self, *, sweep: bool = False) -> None:
        """One round of what has to be done from time to time; raises Overloaded."""
        if not self._recovered and self._replayed():
            await self._store.release_earlier(self._holder.rpartition(":")[0], but=self._holder)
            self._recovered = True
        await self.give_back()
        if self._monotonic() - self._renewed >= self._lease / _RENEWALS:
            await self.renew()
        # After an outage every lease may be over: the others first get the time to renew theirs.
        if sweep and self._monotonic() - self._unsure >= _GRACE_SECONDS:
            await self._store.sweep()

    async def renew(self) -> None:
        """Keep what is held and what is at hand for another lease, and forget what is neither."""
        now = self._monotonic()
        self._left = [credit for credit in self._left if credit.held]
        for id, account in list(self._accounts.items()):
            if now - account.used_at > _FORGET_SECONDS and not account.credit.held and not account.lock.locked():
                # Nothing of it is free: that was given back long ago, or it is not to be relied on.
                del self._accounts[id]
        kept = {account.credit.id: account for account in self._accounts.values() if account.good_until}
        alive = await self._store.renew(
            [*kept, *(credit.id for credit in self._left)], lease_ms=int(self._lease * 1000)
        )
        self._renewed = now
        for id, account in kept.items():
            if account.credit.id != id:
                continue  # another one was begun meanwhile
            if id in alive:
                account.good_until = now + self._lease * _MARGIN
            elif account.credit.free < BOUNDLESS // 2:
                account.doubtful = True  # it was swept, or its budget was removed
                account.good_until = 0.0


def _order(budget: Budget) -> tuple[int, str]:
    """The order in which accounts are locked: that of the database's rows."""
    return _RANK[budget.scope], budget.id


def _give_up(drawing: asyncio.Task[Hold]) -> None:
    """Whoever wanted this is gone."""
    if not drawing.cancelled() and drawing.exception() is None:
        drawing.result().settle(0)
