"""One node's side of the shared limits, without the waiting: what to tell the store, and what its answers mean.

How a node stands with the store (the rules of ports/limiter.py):

    asking    the store answers: permits are leased from it
    alone     it is away: each node admits its static share of each limit, counting what it admitted in the last minute
    settling  it has lost its memory and is back: alone until shortly before it grants again, so that everything is told by then

A visit whose outcome is unknown is never repeated as it was: grants and what was given back are forgone, charges are told
again, seats are told anew. Each of these can only make the limit tighter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.gateway.holdings import WINDOW, Account, Ask, Holding, Refusal, Seats, Window
from junto.ports.limiter import LEASE_MS, Back, Charge, Granted, Held, Refused, Visit, spare_seats, static_share

if TYPE_CHECKING:
    from junto.core.limits import LimitedBy, Limits
    from junto.ports.limiter import Answer

ASSUMED_NODES: Final = 4  # of a node that has never reached the store
_TELL_SECONDS: Final = (
    0.6  # before a settling store grants again, this node stops admitting alone: it tells what it did
)
_BELIEVE_SECONDS: Final = 0.2  # how long a refusal is repeated without asking; others may give back
_BELIEVE_SEATS_SECONDS: Final = 0.02
_IDLE_SECONDS: Final = 2.0  # after which a free seat goes back
_FORGET_SECONDS: Final = 2 * WINDOW  # after which an account that nobody used is dropped
_SAY_ALL_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.4  # between two looks for what is idle


class Lessee:
    """The holdings of one node."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.nodes = ASSUMED_NODES
        self.rank = 0
        self.away = False
        self._epoch = ""
        self._alone_until = 0.0
        self._accounts: dict[str, Account] = {}
        self._windows: dict[str, Window] = {}
        self._seats: dict[str, Seats] = {}
        self._back: dict[tuple[str, int], int] = {}
        self._charged: dict[str, Window] = {}  # those with something unreported
        self._unsaid: dict[str, Seats] = {}  # those of which the store does not know how many are held
        self._leased: dict[str, Window] = {}  # those with a lease
        self._looked_at = 0.0
        self._said_all_at = 0.0

    def account_at_hand(self, by: LimitedBy) -> Account | None:
        """The prepared account, where there is one with these limits."""
        account = self._accounts.get(by.client_id)
        if account is None or (account.by is not by and account.by != by):
            return None
        return account

    def account(self, by: LimitedBy, now: float) -> Account:
        """The account with these limits; limits that have changed take effect here."""
        account = self.account_at_hand(by)
        if account is None:
            sides = (("client:" + by.client_id, by.client), ("tenant:" + by.tenant_id, by.tenant))
            account = self._accounts[by.client_id] = Account(
                by,
                requests=tuple(
                    self._window(f"{who}:requests", each.requests_per_minute, now)
                    for who, each in sides
                    if each.requests_per_minute is not None
                ),
                tokens=tuple(
                    self._window(f"{who}:tokens", each.tokens_per_minute, now)
                    for who, each in sides
                    if each.tokens_per_minute is not None
                ),
                seats=tuple(
                    self._seat(f"{who}:seats", each) for who, each in sides if each.max_concurrency is not None
                ),
                used_at=now,
            )
        return account

    def alone(self, now: float) -> bool:
        """Whether static shares decide now."""
        return self.away or now < self._alone_until

    def admit_alone(self, account: Account, tokens: int, now: float) -> tuple[Holding, Refusal] | None:
        """Let a request in by the static shares; or the limit that has no room, and what is known of it."""
        needs = [
            (holding, amount, static_share(holding.limit, self.nodes, self.rank))
            for holding, amount in zip(account.holdings, account.amounts(tokens), strict=True)
        ]
        for holding, amount, share in needs:
            spent = holding.in_use if isinstance(holding, Seats) else holding.spent(now)
            over = spent + amount - share
            if over > 0:
                free_at = now if isinstance(holding, Seats) else holding.log.when_free(over)
                return holding, Refusal(amount=amount, until=now, free_at=free_at, remaining=max(0, share - spent))
        for holding, amount, share in needs:
            if isinstance(holding, Seats):
                holding.in_use += 1
                holding.held = max(holding.held, holding.in_use)
                self._unsaid[holding.key] = holding
            else:
                self.charge(holding, amount, now)
                holding.remaining = max(0, share - holding.spent(now))
        return None

    def charge(self, window: Window, amount: int, now: float) -> None:
        """Note what was used without having been granted, and tell the store at the next visit."""
        window.log.add(now, amount)
        window.unreported.add(now, amount)
        self._charged[window.key] = window

    def give_back(self, window: Window, stamp: int, amount: int) -> None:
        """Tell the store, at the next visit, what was granted and not used."""
        if stamp and amount > 0:
            self._back[window.key, stamp] = self._back.get((window.key, stamp), 0) + amount

    # Visits -----------------------------------------------------------------------------------------------------------

    def visit(self, asks: list[Ask], now: float, *, leaving: bool = False) -> Visit:
        """What to tell and ask now. What is in it counts as told until `lost` says otherwise."""
        if now - self._looked_at > _LOOK_SECONDS or leaving:
            self._looked_at = now
            self._return_idle(now)
        back = tuple(Back(key, stamp, amount) for (key, stamp), amount in self._back.items())
        charges = tuple(
            Charge(window.key, amount, int((now - at) * 1000))
            for window in self._charged.values()
            for at, amount in window.unreported.take()
        )
        held = tuple(Held(each.key, each.held) for each in self._unsaid.values())
        self._back.clear()
        self._charged.clear()
        self._unsaid.clear()
        return Visit(self.node_id, self._epoch, leaving, back, charges, held, tuple(ask.needs for ask in asks))

    def lost(self, visit: Visit, sent: float) -> None:
        """The visit's outcome is unknown, and the store is away."""
        self.away = True
        told: dict[str, list[Charge]] = {}
        for charge in visit.charges:
            told.setdefault(charge.bucket, []).append(charge)
        for key, charges in told.items():
            window = self._windows.get(key)
            if window is not None:
                window.unreported.put_before([(sent - each.age_ms / 1000, each.amount) for each in charges])
                self._charged[key] = window
        unsure = {held.bucket for held in visit.held} | {
            need.bucket for needs in visit.asks for need in needs if need.seats
        }
        for key, seats in self._seats.items():
            if seats.keep(0) or seats.held or key in unsure:
                self._unsaid[key] = seats

    def answered(self, answer: Answer, sent: float) -> None:
        """The store has answered a visit that began at `sent`; its outcomes are for `apply`."""
        self.away = False
        known, self._epoch = self._epoch, answer.epoch
        settling = answer.settling_ms / 1000
        if known and known != answer.epoch:
            self._tell_all(sent)
            self._alone_until = sent + settling - _TELL_SECONDS if settling else 0.0
            return
        if answer.lapsed:
            self._say_all()
        if not settling:
            self.nodes, self.rank = answer.nodes, answer.rank

    def apply(self, ask: Ask, granted: Granted, answer: Answer, sent: float, now: float) -> tuple[int, ...] | None:
        """Take what was granted: the stamps of the tokens, or None when it came too late and goes back."""
        account = ask.account
        windows = (*account.requests, *account.tokens)
        late = bool(answer.delivery_ms) and now > sent + answer.delivery_ms / 1000
        for index, window in enumerate(windows):
            extra, amount = granted.extras[index], ask.needs[index].amount
            window.remaining = granted.remaining[index]
            window.refusal = None
            if late:
                self.give_back(window, answer.stamp, amount)
            else:
                window.log.add(now, amount)
            if extra:
                self.give_back(window, window.stamp, window.end_lease(now))
                window.begin_lease(extra, sent + LEASE_MS / 1000, answer.lease_stamp)
                self._leased[window.key] = window
        for index, seats in enumerate(account.seats, len(windows)):
            if late:
                self._unsaid[seats.key] = seats  # what this node holds is without the granted ones
            else:
                seats.held += 1 + granted.extras[index]
                seats.in_use += 1
                seats.idle_since, seats.refusal = now, None
        return None if late else (answer.stamp,) * len(account.tokens)

    def refused(self, ask: Ask, refused: Refused, now: float) -> tuple[Holding, Refusal]:
        """Remember for a moment what had no room; gives the limit and what is known of it."""
        holding, wait = ask.account.holdings[refused.index], refused.wait_ms / 1000
        believe = _BELIEVE_SEATS_SECONDS if isinstance(holding, Seats) else min(wait, _BELIEVE_SECONDS)
        holding.refusal = Refusal(
            amount=ask.needs[refused.index].amount,
            until=now + believe,
            free_at=now + wait,
            remaining=refused.remaining,
        )
        return holding, holding.refusal

    def end_leases(self, now: float) -> None:
        """Give everything back that is not in use."""
        for window in self._windows.values():
            self.give_back(window, window.stamp, window.end_lease(now))
        for key, seats in self._seats.items():
            if seats.keep(0):
                self._unsaid[key] = seats

    # In between -------------------------------------------------------------------------------------------------------

    def forget_idle(self, now: float) -> None:
        """Drop what nobody uses, so that what is kept does not grow with all clients that ever came."""
        for name, account in list(self._accounts.items()):
            if now - account.used_at > _FORGET_SECONDS and not any(each.in_use for each in account.seats):
                del self._accounts[name]
        kept = {holding.key for account in self._accounts.values() for holding in account.holdings}
        for key, window in list(self._windows.items()):
            if key not in kept and not window.spent(now) and not window.left and not window.unreported.total:
                del self._windows[key]
        for key, seats in list(self._seats.items()):
            if key not in kept and not seats.held and key not in self._unsaid:
                del self._seats[key]

    def _return_idle(self, now: float) -> None:
        for key, window in list(self._leased.items()):
            if now >= window.until:
                self.give_back(window, window.stamp, window.end_lease(now))
                del self._leased[key]
        for key, seats in self._seats.items():
            if seats.held > seats.in_use and now - seats.idle_since > _IDLE_SECONDS and seats.keep(0):
                self._unsaid[key] = seats
        if now - self._said_all_at > _SAY_ALL_SECONDS:
            self._said_all_at = now
            self._say_all()

    def _say_all(self) -> None:
        self._unsaid.update((key, seats) for key, seats in self._seats.items() if seats.held)

    def _tell_all(self, now: float) -> None:
        """The store forgot: tell it the whole last minute and every seat. Leases ended with its memory."""
        self._back.clear()
        for window in self._windows.values():
            window.end_lease(now)
            window.log.forget(now)
            window.unreported.take()
            window.unreported.put_before(window.log.entries())
            window.refusal = None
            self._charged[window.key] = window
        for seats in self._seats.values():
            seats.keep(0)
            seats.refusal = None
        self._say_all()

    def _window(self, key: str, limit: int, now: float) -> Window:
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(key, limit)
        elif window.limit != limit:
            window.limit, window.refusal = limit, None
            window.remaining = min(window.remaining, limit)
            self.give_back(window, window.stamp, window.end_lease(now))
        return window

    def _seat(self, key: str, limits: Limits) -> Seats:
        limit = limits.max_concurrency or 0
        seats = self._seats.get(key)
        if seats is None:
            seats = self._seats[key] = Seats(key, limit)
        elif seats.limit != limit:
            seats.limit, seats.refusal = limit, None
            if seats.keep(0):
                self._unsaid[key] = seats
        return seats

    def release(self, seats: Seats, now: float) -> bool:
        """A request has ended: whether the store should hear of its seat now."""
        seats.in_use -= 1
        seats.idle_since = now
        seats.refusal = None
        if seats.keep(spare_seats(seats.limit, self.nodes)):
            self._unsaid[seats.key] = seats
            return True
        return False
