"""What this node holds of each limit: leased permits, seats, and a memory of what it admitted in the last minute.

Plain state and arithmetic, with the time as an argument: nothing here waits, asks or logs. Times are seconds of the node's own
monotonic clock; `stamp`s are the store's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from junto.ports.limiter import WINDOW_MS, Need

if TYPE_CHECKING:
    from junto.core.limits import LimitedBy

WINDOW: Final = WINDOW_MS / 1000
_GRAIN = 0.25  # seconds that the memory does not tell apart


class Log:
    """How much, and when, over the last minute."""

    __slots__ = ("_entries", "total")

    def __init__(self) -> None:
        self.total = 0
        self._entries: deque[tuple[float, int]] = deque()  # the time of an entry is that of the latest thing in it

    def add(self, at: float, amount: int) -> None:
        """Note what was used; `at` never goes back."""
        entries = self._entries
        self.total += amount
        if len(entries) > 1 and at - entries[-2][0] < _GRAIN:
            amount += entries.pop()[1]
        entries.append((at, amount))

    def forget(self, now: float) -> None:
        """Drop what is a minute old."""
        while self._entries and self._entries[0][0] + WINDOW <= now:
            self.total -= self._entries.popleft()[1]

    def when_free(self, amount: int) -> float:
        """When the oldest `amount` will have been dropped; 0 where there is not so much."""
        for at, count in self._entries:
            amount -= count
            if amount <= 0:
                return at + WINDOW
        return 0.0

    def entries(self) -> list[tuple[float, int]]:
        """What is remembered, oldest first."""
        return list(self._entries)

    def take(self) -> list[tuple[float, int]]:
        """Take everything out, oldest first."""
        taken = self.entries()
        self._entries.clear()
        self.total = 0
        return taken

    def put_before(self, earlier: list[tuple[float, int]]) -> None:
        """Put entries in that were taken out before those that are there came."""
        for at, amount in (*earlier, *self.take()):
            self.add(at, amount)


class Window:
    """A limit per minute: `left` permits may be used until `until`, and count from `stamp` in the store."""

    __slots__ = ("key", "left", "limit", "log", "refusal", "remaining", "stamp", "unreported", "until", "used")

    def __init__(self, key: str, limit: int) -> None:
        self.key = key
        self.limit = limit
        self.left = 0
        self.used = 0  # of the lease
        self.until = 0.0
        self.stamp = 0
        self.remaining = limit  # of the limit, besides `left`, as the store last said
        self.log = Log()  # all that was admitted here, but for `used`
        self.unreported = Log()  # the part of it that the store does not know
        self.refusal: Refusal | None = None

    def spent(self, now: float) -> int:
        """How much was admitted here in the last minute."""
        self.log.forget(now)
        return self.log.total + self.used

    def end_lease(self, now: float) -> int:
        """Give the lease up; what of it was not used."""
        if self.used:
            self.log.add(now, self.used)  # later than it was: never too little
        left, self.left, self.used, self.until = self.left, 0, 0, 0.0
        return left

    def begin_lease(self, amount: int, until: float, stamp: int) -> None:
        """A new lease; the former one was ended."""
        self.left, self.used, self.until, self.stamp = amount, 0, until, stamp


class Seats:
    """A limit of requests at once: of `held` seats `in_use` are taken."""

    __slots__ = ("held", "idle_since", "in_use", "key", "limit", "refusal")

    def __init__(self, key: str, limit: int) -> None:
        self.key = key
        self.limit = limit
        self.held = 0
        self.in_use = 0
        self.idle_since = 0.0
        self.refusal: Refusal | None = None

    def keep(self, spare: int) -> bool:
        """Let go of free seats but for `spare` of them; whether there were more."""
        more = self.held > self.in_use + spare
        if more:
            self.held = self.in_use + spare
        return more


type Holding = Window | Seats


class Refusal:
    """That a limit has no room, believed for a moment, so that a flood of requests does not ask for each."""

    __slots__ = ("amount", "free_at", "remaining", "until")

    def __init__(self, *, amount: int, until: float, free_at: float, remaining: int) -> None:
        self.amount = amount  # this much, or more, is refused
        self.until = until
        self.free_at = free_at
        self.remaining = remaining


class Account:
    """Whom a request counts against: the holdings of its client and of its tenant, prepared once per key."""

    __slots__ = ("by", "holdings", "requests", "seats", "tokens", "used_at")

    def __init__(
        self,
        by: LimitedBy,
        *,
        requests: tuple[Window, ...],
        tokens: tuple[Window, ...],
        seats: tuple[Seats, ...],
        used_at: float,
    ) -> None:
        self.by = by
        self.requests = requests
        self.tokens = tokens
        self.seats = seats
        self.holdings: tuple[Holding, ...] = (*requests, *tokens, *seats)
        self.used_at = used_at

    def amounts(self, tokens: int) -> tuple[int, ...]:
        """What a request takes of each of the holdings."""
        return (1,) * len(self.requests) + (tokens,) * len(self.tokens) + (1,) * len(self.seats)


class Ask:
    """What one request needs that is not at hand."""

    __slots__ = ("account", "needs", "tokens")

    def __init__(self, account: Account, tokens: int) -> None:
        self.account = account
        self.tokens = tokens
        self.needs = tuple(
            Need(isinstance(holding, Seats), holding.key, holding.limit, amount)
            for holding, amount in zip(account.holdings, account.amounts(tokens), strict=True)
        )
