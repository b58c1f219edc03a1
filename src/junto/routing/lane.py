"""One class of waiting work, shared fairly by its clients: whose ticket is next, and which ticket of that client.

Fair by virtual token counters: each client's counter grows by the tokens it got over its weight, and the client with the
smallest counter is next. A client that comes back from a pause is lifted to the smallest counter of those who wait, so a
pause earns no credit. Tickets for a model that is in memory may go first, for a bounded batch.

Knows nothing of other classes or of the bound on all (routing/slots.py), and has no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import IntEnum

import msgspec

_MOST_IDLE_CLIENTS = 1024  # whose counters are remembered


class WorkClass(IntEnum):
    """Kinds of work in order of precedence, the first first."""

    INTERACTIVE = 0
    JOB = 1
    COUNCIL = 2
    SHADOW = 3


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that waits for a slot. `cost_tokens` is what it is expected to take; `model` the backend's name for it."""

    id: int
    client: str
    model: str
    weight: int = 1
    work: WorkClass = WorkClass.INTERACTIVE
    cost_tokens: int = 1
    enqueued_at: float = 0.0

    @property
    def charge(self) -> float:
        """What the ticket adds to its client's counter when it is taken."""
        return max(self.cost_tokens, 1) / max(self.weight, 1)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """How long work for a loaded model may go before work that needs a swap; 0 jobs: never, fairness alone decides."""

    jobs: int = 8
    seconds: float = 30.0


type _Line = dict[int, tuple[int, Ticket]]  # by ticket id, oldest first; the number is the order of arrival


class Lane:
    """The waiting tickets of one class. Each call costs at most the number of (client, model) pairs that wait."""

    __slots__ = ("_arrivals", "_batch", "_counters", "_held", "_held_since", "_lines", "_reached", "_waiting")

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._lines: dict[tuple[str, str], _Line] = {}
        self._waiting: dict[str, int] = {}
        self._counters: dict[str, float] = {}
        self._reached = 0.0  # the counter of the client that was served last
        self._arrivals = 0
        self._held = 0  # tickets that went before one which needs a swap, since the last swap
        self._held_since = 0.0

    def __len__(self) -> int:
        return sum(self._waiting.values())

    def waiting_of(self, client: str) -> int:
        """How many tickets of that client wait here."""
        return self._waiting.get(client, 0)

    def push(self, ticket: Ticket) -> None:
        """Put a ticket behind its client's others."""
        client = ticket.client
        if client not in self._waiting:
            self._forget_idle()
            self._counters[client] = self._entry_counter(client)
        self._waiting[client] = self._waiting.get(client, 0) + 1
        self._arrivals += 1
        self._lines.setdefault((client, ticket.model), {})[ticket.id] = (self._arrivals, ticket)

    def pop(self, now: float, resident: Collection[str]) -> Ticket:
        """Take the next ticket and charge its client; only valid while something waits."""
        key = self._line_due(now, resident)
        _, ticket = next(iter(self._lines[key].values()))
        self._reached = max(self._reached, self._counters[ticket.client])
        self._counters[ticket.client] += ticket.charge
        self.remove(ticket)
        return ticket

    def remove(self, ticket: Ticket) -> None:
        """Take a waiting ticket out without serving it."""
        line = self._lines[ticket.client, ticket.model]
        del line[ticket.id]
        if not line:
            del self._lines[ticket.client, ticket.model]
        self._waiting[ticket.client] -= 1
        if not self._waiting[ticket.client]:
            del self._waiting[ticket.client]

    def settle(self, ticket: Ticket, tokens: int) -> None:
        """Replace what a served ticket was expected to take by what it took."""
        if ticket.client in self._counters:
            self._counters[ticket.client] += tokens / max(ticket.weight, 1) - ticket.charge

    def in_order(self) -> list[Ticket]:
        """All waiting tickets in the order in which fairness alone would serve them (batches are not foreseen)."""
        return [ticket for _, _, ticket in sorted(self._due(), key=lambda due: due[:2])]

    def ahead_of(self, ticket: Ticket) -> list[Ticket]:
        """The waiting tickets that fairness would serve before that one, were it pushed now."""
        mine = [due for due in self._due() if due[2].client == ticket.client]
        start = self._entry_counter(ticket.client) + sum(each.charge for _, _, each in mine)
        return [each for moment, _, each in self._due() if moment <= start]

    def _due(self) -> Iterator[tuple[float, int, Ticket]]:
        """(the client's counter when the ticket's turn comes, order of arrival, ticket), by client."""
        by_client: dict[str, list[tuple[int, Ticket]]] = {}
        for (client, _), line in self._lines.items():
            by_client.setdefault(client, []).extend(line.values())
        for client, tickets in by_client.items():
            moment = self._counters[client]
            for number, ticket in sorted(tickets, key=lambda each: each[0]):
                yield moment, number, ticket
                moment += ticket.charge

    def _entry_counter(self, client: str) -> float:
        own = self._counters.get(client, 0.0)
        if client in self._waiting:
            return own
        return max(own, min((self._counters[each] for each in self._waiting), default=self._reached))

    def _line_due(self, now: float, resident: Collection[str]) -> tuple[str, str]:
        ready = [key for key in self._lines if key[1] in resident]
        if self._batch.jobs <= 0 or not ready or len(ready) == len(self._lines):
            self._held = 0
            return min(self._lines, key=self._rank)
        if self._held == 0:
            self._held_since = now
        if self._held >= self._batch.jobs or now - self._held_since >= self._batch.seconds:
            self._held = 0
            return min((key for key in self._lines if key[1] not in resident), key=self._rank)
        self._held += 1
        return min(ready, key=self._rank)

    def _rank(self, key: tuple[str, str]) -> tuple[float, int]:
        number, _ = next(iter(self._lines[key].values()))
        return self._counters[key[0]], number

    def _forget_idle(self) -> None:
        """Keep the memory bounded: the idle clients that owe least are forgotten, half of them at once."""
        idle = len(self._counters) - len(self._waiting)
        if idle <= _MOST_IDLE_CLIENTS:
            return
        clients = sorted((each for each in self._counters if each not in self._waiting), key=self._counters.__getitem__)
        for client in clients[: idle // 2]:
            del self._counters[client]
