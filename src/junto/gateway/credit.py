"""What one node has of one budget, and the hold that one request has on it. Synchronous bookkeeping: no database, no waiting.

A `Credit` mirrors one reservation in the database, whose amount is always `free + held +` what was settled and is not in the
ledger yet. So money that was handed out stays reserved there until its entry is written, and `free` never goes below zero.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from junto.core.errors import BudgetExceeded, Overloaded
from junto.ports.money import NoRoom

if TYPE_CHECKING:
    from junto.gateway.purse import Purse
    from junto.identity.principal import Budget

type Paid = tuple[tuple[str, int], ...]
_FIRST_CHUNK: Final = 8  # requests like this one
_BUSY_SECONDS: Final = 1.0  # who draws again that soon draws twice as much ahead
_QUIET_SECONDS: Final = 10.0  # and who does not for so long, half as much
_ROOM_SECONDS: Final = 0.5  # how long a refusal is believed before the database is asked again

BOUNDLESS: Final = 1 << 62  # nano-dollars: the credit of a budget that was removed while requests still name it


class Credit:
    """One reservation: `free` is at hand, `held` is with requests under way."""

    __slots__ = ("free", "held", "id")

    def __init__(self, id: str) -> None:
        self.id = id
        self.free = 0
        self.held = 0


class Account:
    """One budget as this node knows it. Times are monotonic seconds.

    `good_until`: until then nobody takes the credit away. `refusal`: the budget's last one, believed until `refused_until`.
    `doubtful`: a write of the credit may or may not have happened, so the next draw begins another one.
    """

    __slots__ = (
        "ahead", "budget", "credit", "doubtful", "drawn_at", "good_until", "lock", "refusal", "refused_until",
        "used_at",
    )  # fmt: skip

    def __init__(self, budget: Budget, credit: Credit, now: float) -> None:
        self.budget = budget
        self.credit = credit
        self.lock = asyncio.Lock()
        self.ahead = 0
        self.doubtful = False
        self.drawn_at = now
        self.used_at = now
        self.good_until = 0.0
        self.refusal: NoRoom | None = None
        self.refused_until = 0.0

    def covers(self, budget: Budget, nano: int, now: float) -> bool:
        """Whether that much is at hand, of the budget as it is now."""
        if self.budget is not budget and not self._adopts(budget):
            return False
        return self.credit.free >= nano and now < self.good_until

    def more_ahead(self, nano: int, now: float) -> int:
        """How much to draw beyond what is needed: the more the faster it is used up. The store caps it near the budget's end."""
        since = now - self.drawn_at
        if not self.ahead:
            self.ahead = nano * _FIRST_CHUNK
        elif since < _BUSY_SECONDS:
            self.ahead = min(max(self.ahead * 2, nano * _FIRST_CHUNK), BOUNDLESS // 4)
        elif since > _QUIET_SECONDS:
            self.ahead = max(self.ahead // 2, nano)
        return self.ahead

    def refused(self, refusal: NoRoom, now: float) -> None:
        """Remember that the budget had no room."""
        self.refusal, self.refused_until = refusal, now + _ROOM_SECONDS

    def refuse_again(self, least: int, now: float) -> None:
        """Raise the last refusal again for whoever asks at once for more than there was, and leave the database alone."""
        last = self.refusal
        if last is not None and now < self.refused_until and least > last.room:
            raise NoRoom(last.message, budget_id=last.budget_id, room=last.room, retry_after=last.retry_after)

    def _adopts(self, budget: Budget) -> bool:
        """Take the budget as it was read again; not when its limit went down: credit of the old one has to go back first."""
        if budget.limit_nano < self.budget.limit_nano:
            return False
        if budget.limit_nano != self.budget.limit_nano:
            self.refusal = None
        self.budget = budget
        return True


class Hold:
    """Money that is held for one request. Settle it once, on every way out; what is not settled stays held."""

    __slots__ = ("_budgets", "_credits", "_more", "_nano", "_purse", "paid")

    def __init__(self, purse: Purse, budgets: tuple[Budget, ...], credits: tuple[Credit, ...], nano: int) -> None:
        self._purse = purse
        self._budgets = budgets
        self._credits = credits
        self._nano = nano
        self._more: list[Hold] | None = None
        self.paid: Paid | None = None

    @property
    def nano(self) -> int:
        """How much is held, of every budget."""
        return self._nano + (sum(hold.nano for hold in self._more) if self._more else 0)

    def split(self, nano: int) -> Hold | None:
        """A hold of its own on a part of what is held here; None where that is not there, or the hold is settled."""
        if self.paid is not None or nano > self._nano:
            return None
        self._nano -= nano
        return Hold(self._purse, self._budgets, self._credits, nano)

    def settle(self, nano: int) -> Paid:
        """What the request really cost: gives the rest back, and says what the exchange's record has to carry as `paid`.

        The truth is charged also where it is more than was held; then what the node has at hand pays too, and what nobody
        held is in the ledger all the same. A second call changes nothing and gives the same.
        """
        if self.paid is not None:
            return self.paid
        paid: list[tuple[str, int]] = []
        rest = max(0, nano)
        for more in self._more or ():
            share = min(rest, more.nano)
            rest -= share
            paid += more.settle(share)
        held = self._nano
        for credit in self._credits:
            backed = min(rest, held + credit.free)
            credit.free += held - backed
            credit.held -= held
            if backed:
                paid.append((credit.id, backed))
        self._more = None
        self.paid = tuple(paid)
        return self.paid

    def extend_now(self, nano: int) -> bool:
        """Hold so much more, if it is at hand; False when it is not, or the hold is settled."""
        if self._is_settled():
            return False
        more = self._purse.reserve(self._budgets, nano)
        if more is None:
            return False
        self._join(more)
        return True

    async def extend(self, nano: int) -> bool:
        """Hold so much more; False when a budget has no room for it, or cannot be asked."""
        if self._is_settled():
            return False
        try:
            more = self._purse.reserve(self._budgets, nano) or await self._purse.acquire(self._budgets, nano)
        except (BudgetExceeded, Overloaded):
            return False
        if self._is_settled():  # while it waited
            more.settle(0)
            return False
        self._join(more)
        return True

    def _join(self, more: Hold) -> None:
        """Make another hold on the same budgets a part of this one."""
        if all(mine is theirs for mine, theirs in zip(self._credits, more._credits, strict=True)):
            self._nano += more._nano
        elif self._more is None:
            self._more = [more]
        else:
            self._more.append(more)

    def _is_settled(self) -> bool:
        return self.paid is not None
