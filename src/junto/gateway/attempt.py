"""One attempt under way: what it occupies, and giving all of it back exactly once.

Owns the slot, the in-flight counts, the breaker outcome and the smoothed speeds of one try at one deployment.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import FailureKind
from junto.core.exchange import Attempted
from junto.gateway.lockout import let_in, locked_out
from junto.ports.observer import SwapEnded
from junto.routing import breaker, smoothing
from junto.routing.facts import Breaker, BreakerState

if TYPE_CHECKING:
    from junto.core.errors import UpstreamFailure
    from junto.gateway.exchange import Exchange
    from junto.gateway.runtime import Target
    from junto.gateway.slots import Slot
    from junto.ports.clock import Clock
    from junto.ports.observer import AttemptObserver


_ONE_PIECE = 0.001  # seconds; a stream that came faster came in one piece and tells nothing of its speed


class Ending(Enum):
    """How an attempt can end."""

    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Attempt:
    """Begun when a candidate is chosen; `end` may be called any number of times, the first one counts."""

    __slots__ = (
        "_clock",
        "_cold",
        "_ended",
        "_exchange",
        "_first",
        "_observer",
        "_probe",
        "_retried",
        "_slot",
        "_started",
        "milliseconds",
        "target",
    )

    def __init__(
        self,
        exchange: Exchange,
        target: Target,
        clock: Clock,
        observer: AttemptObserver,
        retried: bool,  # noqa: FBT001
    ) -> None:
        self.target = target
        self.milliseconds = 0  # at the upstream, once it has ended; waiting for a slot is not part of it
        self._exchange = exchange
        self._clock = clock
        self._observer = observer
        self._retried = retried
        self._slot: Slot | None = None
        self._started = clock.monotonic()
        self._first = 0.0
        self._ended = False
        self._probe: Breaker | None = None
        facts = target.deployment
        resident = facts.backend_live.resident
        self._cold = resident is not None and facts.upstream_model not in resident
        self._begin()

    def holds(self, slot: Slot) -> None:
        """A slot was acquired for this attempt; waiting for it does not count as the upstream's time."""
        self._slot = slot
        self._started = self._clock.monotonic()

    def first_byte(self) -> None:
        """The upstream's first piece is here."""
        if not self._first:
            self._first = self._clock.monotonic()

    @property
    def is_cold(self) -> bool:
        """Whether the model had to be loaded for this attempt."""
        return self._cold

    @property
    def first_token(self) -> float:
        """Seconds that the first token may take."""
        target = self.target
        return (target.cold_deadlines if self._cold else target.deadlines).first_token

    def end(self, ending: Ending, *, failure: UpstreamFailure | None = None, output_tokens: int = 0) -> None:
        """Give everything back and tell what was learned."""
        if self._ended:
            return
        self._ended = True
        if self._slot is not None:
            self._slot.release(output_tokens + self._exchange.head.prompt_tokens)
        now = self._clock.monotonic()
        self._leave()
        self._note_breaker(ending, failure, now)
        swap_ms = 0
        if ending is Ending.ANSWERED:
            self._note_speed(now, output_tokens)
            if self._cold:
                swap_ms = self._tell_swap(now)
        kind = failure.kind.value if failure is not None else ("cancelled" if ending is Ending.CANCELLED else "")
        facts = self.target.deployment
        self.milliseconds = int((now - self._started) * 1000)
        attempted = Attempted(backend=facts.backend, model=facts.model, failure=kind, milliseconds=self.milliseconds)
        self._exchange.attempts.append(
            attempted if not swap_ms else msgspec.structs.replace(attempted, swap_ms=swap_ms)
        )
        self._observer.attempt_ended(backend=facts.backend, model=facts.model, failure=kind, retried=self._retried)

    def _begin(self) -> None:
        facts = self.target.deployment
        facts.live.in_flight += 1
        facts.backend_live.in_flight += 1
        if self._retried:
            facts.backend_live.retries_in_flight += 1
        live = facts.live
        if live.breaker.state is BreakerState.CLOSED:
            return
        probe = breaker.before(live.breaker, self._started)
        if probe is not live.breaker:
            self._probe = live.breaker = probe
            self._tell_breaker(probe)

    def _leave(self) -> None:
        facts = self.target.deployment
        facts.live.in_flight -= 1
        facts.backend_live.in_flight -= 1
        facts.live.last_used_ms = self._clock.wall_ms()
        if self._retried:
            facts.backend_live.retries_in_flight -= 1

    def _note_breaker(self, ending: Ending, failure: UpstreamFailure | None, now: float) -> None:
        facts = self.target.deployment
        live = facts.live
        old = live.breaker
        if ending is Ending.ANSWERED:
            if old.state is BreakerState.CLOSED and not old.failures:
                return  # as nearly always
            let_in(facts.backend_live)
            outcome = breaker.AttemptOutcome.SUCCESS
        elif failure is None:
            outcome = breaker.AttemptOutcome.NEUTRAL
        else:
            outcome = breaker.outcome_of(failure.kind, cold=self._cold)
            if failure.kind is FailureKind.CREDENTIALS:
                locked_out(facts.backend_live, backend=facts.backend, key_hint=self.target.key_hint)
        live.breaker = breaker.after(old, outcome, now, probe=self._probe)
        if live.breaker.state is not old.state:
            self._tell_breaker(live.breaker)

    def _note_speed(self, now: float, output_tokens: int) -> None:
        live = self.target.deployment.live
        if self._exchange.head.stream:
            first = self._first or now
            seconds = now - first
            rate = output_tokens / seconds if seconds > _ONE_PIECE else None
            speeds = smoothing.observed(live, ttft=first - self._started, rate=rate, cold=self._cold)
        elif self._cold:
            return  # how much of a whole answer's time was loading, nobody knows
        elif output_tokens:  # nor when its first token was there: all of its time counts for its tokens
            speeds = smoothing.observed(live, rate=output_tokens / max(now - self._started, _ONE_PIECE))
        else:
            speeds = smoothing.observed(live, ttft=now - self._started)
        live.ttft, live.rate, live.load = speeds.ttft, speeds.rate, speeds.load

    def _tell_swap(self, now: float) -> int:
        """Tell that the model had to be loaded; the milliseconds of it, 0 when they are not known."""
        facts = self.target.deployment
        streamed = self._exchange.head.stream  # of a whole answer's time nobody knows how much was loading
        milliseconds = int(((self._first or now) - self._started) * 1000) if streamed else None
        self._observer.swap_ended(
            SwapEnded(
                backend=facts.backend,
                model=facts.model,
                operation="load",
                ended_ms=self._clock.wall_ms(),
                milliseconds=milliseconds,
                job_id=self._exchange.arrival.job_id,
            )
        )
        return milliseconds or 0

    def _tell_breaker(self, now_in_force: Breaker) -> None:
        facts = self.target.deployment
        self._observer.breaker_changed(backend=facts.backend, model=facts.model, state=now_in_force.state.value)
