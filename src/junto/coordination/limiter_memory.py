"""The shared store of limits where there is one process: it is not shared. The twin of limiter_redis.py, rule by rule.

Tests let several nodes visit one of these, with a clock of their own.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil
from typing import TYPE_CHECKING

from junto.ports.limiter import (
    LEASE_MS,
    NODE_MS,
    WINDOW_MS,
    Answer,
    AskAgain,
    Granted,
    Need,
    Outcome,
    Refused,
    Visit,
    lease_extra,
    spare_seats,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.clock import Clock

_WIDTH_MS = 5  # what is granted within it is remembered as one, as of its end
_SWEEP_MS = 60_000


class _Window:
    """What was granted of one bucket, by the moment that it counts from."""

    __slots__ = ("_counts", "_stamps", "total")

    def __init__(self) -> None:
        self.total = 0
        self._counts: dict[int, int] = {}
        self._stamps: list[int] = []  # a heap

    def add(self, stamp: int, amount: int) -> None:
        if stamp not in self._counts:
            heappush(self._stamps, stamp)
            self._counts[stamp] = 0
        self._counts[stamp] += amount
        self.total += amount

    def take_back(self, stamp: int, amount: int) -> None:
        amount = min(amount, self._counts.get(stamp, 0))
        if amount:
            self._counts[stamp] -= amount
            self.total -= amount

    def forget(self, until: int) -> None:
        """Free what counts from `until` or before."""
        while self._stamps and self._stamps[0] <= until:
            self.total -= self._counts.pop(heappop(self._stamps))

    def when_free(self, amount: int) -> int:
        """The moment that the last of the oldest `amount` counts from."""
        for stamp in sorted(self._counts):
            amount -= self._counts[stamp]
            if amount <= 0:
                return stamp
        return self._stamps[0] if self._stamps else 0


class MemoryBuckets:
    """Implements ports.limiter.Buckets in this process; it never forgets, so its epoch never ends."""

    def __init__(
        self,
        clock: Clock,
        *,
        epoch: str = "memory",
        settle_ms: int = 0,
        delivery_ms: int = 0,
        window_ms: int = WINDOW_MS,
    ) -> None:
        self._clock = clock
        self._epoch = epoch
        self._delivery_ms = delivery_ms
        self._window_ms = window_ms
        self._settled = self._now() + settle_ms
        self._windows: dict[str, _Window] = {}
        self._seats: dict[str, dict[str, int]] = {}
        self._nodes: dict[str, int] = {}
        self._swept = self._now()

    async def visit(self, visit: Visit) -> Answer:
        return self.carry_out(visit)

    async def close(self) -> None:
        """Nothing to let go of."""

    def carry_out(self, visit: Visit) -> Answer:
        """What `visit` does; it never waits."""
        now = self._now()
        lapsed = self._greet(visit, now)
        known = visit.epoch in ("", self._epoch)
        outcomes: tuple[Outcome, ...] = (AskAgain(),) * len(visit.asks)
        if known:
            self._note(visit, now)
            if now >= self._settled:
                outcomes = tuple(self._decide(visit.node, needs, now) for needs in visit.asks)
        nodes = sorted(self._nodes)
        return Answer(
            epoch=self._epoch,
            settling_ms=max(0, self._settled - now),
            nodes=max(1, len(nodes)),
            rank=nodes.index(visit.node) if visit.node in self._nodes else 0,
            lapsed=lapsed,
            stamp=self._stamp(now),
            lease_stamp=self._lease_stamp(now),
            delivery_ms=self._delivery_ms,
            outcomes=outcomes,
        )

    def _greet(self, visit: Visit, now: int) -> bool:
        for node, seen in list(self._nodes.items()):
            if now - seen > NODE_MS:
                del self._nodes[node]
        lapsed = visit.node not in self._nodes
        if visit.leaving:
            self._nodes.pop(visit.node, None)
        else:
            self._nodes[visit.node] = now
        if now - self._swept > _SWEEP_MS:
            self._sweep(now)
        return lapsed

    def _note(self, visit: Visit, now: int) -> None:
        for back in visit.back:
            self._window(back.bucket, now).take_back(back.stamp, back.amount)
        for charge in visit.charges:
            if charge.age_ms < self._window_ms:
                self._window(charge.bucket, now).add(self._stamp(now - charge.age_ms), charge.amount)
        for held in visit.held:
            self._seats.setdefault(held.bucket, {})[visit.node] = held.seats

    def _decide(self, node: str, needs: Sequence[Need], now: int) -> Outcome:
        remaining: list[int] = []
        for index, need in enumerate(needs):
            left = self._remaining(need, now)
            if need.amount > left:
                return Refused(index, self._wait(need, left, now), max(0, left))
            remaining.append(left)
        extras = [self._grant(node, need, left, now) for need, left in zip(needs, remaining, strict=True)]
        left_over = (left - need.amount - extra for need, left, extra in zip(needs, remaining, extras, strict=True))
        return Granted(tuple(extras), tuple(left_over))

    def _remaining(self, need: Need, now: int) -> int:
        if not need.seats:
            return need.limit - self._window(need.bucket, now).total
        seats = self._seats.get(need.bucket, {})
        for node in [node for node in seats if node not in self._nodes]:
            del seats[node]
        return need.limit - sum(seats.values())

    def _wait(self, need: Need, left: int, now: int) -> int:
        if need.seats or need.amount > need.limit:
            return 0
        free = self._window(need.bucket, now).when_free(need.amount - left) + self._window_ms
        return max(1, free - now)

    def _grant(self, node: str, need: Need, left: int, now: int) -> int:
        nodes = max(1, len(self._nodes))
        if need.seats:
            extra = min(spare_seats(need.limit, nodes), left - need.amount)
            seats = self._seats.setdefault(need.bucket, {})
            seats[node] = seats.get(node, 0) + need.amount + extra
            return extra
        window = self._window(need.bucket, now)
        extra = lease_extra(
            limit=need.limit, amount=need.amount, remaining=left, nodes=nodes, window_ms=self._window_ms
        )
        window.add(self._stamp(now), need.amount)
        if extra:
            window.add(self._lease_stamp(now), extra)
        return extra

    def _window(self, bucket: str, now: int) -> _Window:
        window = self._windows.get(bucket)
        if window is None:
            window = self._windows[bucket] = _Window()
        window.forget(now - self._window_ms)
        return window

    def _sweep(self, now: int) -> None:
        """Let go of buckets that nobody uses."""
        self._swept = now
        for bucket in list(self._windows):
            if not self._window(bucket, now).total:
                del self._windows[bucket]
        for bucket, seats in list(self._seats.items()):
            if not any(seats.values()):
                del self._seats[bucket]

    def _stamp(self, now: int) -> int:
        return ceil((now + self._delivery_ms) / _WIDTH_MS) * _WIDTH_MS

    def _lease_stamp(self, now: int) -> int:
        return ceil((now + LEASE_MS) / _WIDTH_MS) * _WIDTH_MS

    def _now(self) -> int:
        return int(self._clock.monotonic() * 1000)
