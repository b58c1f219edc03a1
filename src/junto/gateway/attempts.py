"""Trying candidates until one answers: acquire a slot, get a clearance, open, wait for the first bytes; else the next step.

What the next step is, routing/fallback.py decides; this file only carries it out. Nothing is tried after the commit
point, which is the return of `run`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, assert_never

from junto.core.errors import FailureKind, NotServable, Unsupported, UpstreamFailure
from junto.core.usage import Usage
from junto.dialects.wire import Rendering
from junto.gateway import egress
from junto.gateway.answer import Answer
from junto.gateway.attempt import Attempt, Ending
from junto.gateway.passage import choose
from junto.gateway.settlement import measured
from junto.ports.provider import Call
from junto.routing import breaker
from junto.routing.facts import BreakerState
from junto.routing.fallback import PASSED_OVER, GiveUp, Retry, RetryBudget, Step, TryNext, next_step
from junto.routing.refusals import Failed, error_for, exhausts

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.gateway.exchange import Exchange
    from junto.gateway.parts import ExchangeParts
    from junto.gateway.passage import Passage
    from junto.gateway.runtime import Runtime, Target
    from junto.gateway.settlement import Settlement
    from junto.ports.clock import Clock
    from junto.ports.observer import AttemptObserver
    from junto.ports.provider import Reply
    from junto.routing.facts import Plan


class Attempts:
    """Carries out a plan."""

    def __init__(
        self,
        *,
        settlement: Settlement,
        observer: AttemptObserver,
        clock: Clock,
        jitter: Callable[[], float],
        parts: Callable[[Exchange], ExchangeParts] | None = None,
    ) -> None:
        self._settlement = settlement
        self._observer = observer
        self._clock = clock
        self._jitter = jitter
        self._parts = parts

    async def run(self, exchange: Exchange, plan: Plan, runtime: Runtime) -> Answer:
        """The first answer that begins; raises the JuntoError that the failures add up to."""
        position = tries_here = 0
        failures: list[Failed] = []
        while True:
            position = self._skip_probed(plan, position)
            target = runtime.targets[plan.candidates[position].key]
            try:
                answer = await self._once(exchange, target, runtime, retried=tries_here > 0)
            except UpstreamFailure as failure:
                failures.append((target.deployment, failure))
                if failure.usage is not None and failure.usage.total:
                    exchange.lose(failure.usage, target.deployment)
            else:
                answer.position = position
                return answer
            tries_here += 1
            step = self._decide(exchange, plan, runtime, position, tries_here, failures)
            match step:
                case Retry(after):
                    await asyncio.sleep(after)
                case TryNext():
                    position += 1
                    tries_here = 0
                case GiveUp():
                    now, late = self._clock.monotonic(), self._is_late(exchange)
                    raise error_for(failures, now=now, expired=late, exhausted=exhausts(plan, position))
                case _:
                    assert_never(step)

    async def _once(self, exchange: Exchange, target: Target, runtime: Runtime, *, retried: bool) -> Answer:
        # Classes that are made for every attempt get what they need by position, which takes half as long.
        attempt = Attempt(exchange, target, self._clock, self._observer, retried)
        begun: Reply | Passage | None = None
        call: Call | None = None
        passage: Passage | None = None
        try:
            if target.slots is not None:
                attempt.holds(await target.slots.acquire(exchange, target))
            deployment = target.deployment
            clearance = egress.clear(
                exchange.sensitivity,
                deployment,
                allow_cloud_for_internal=exchange.principal.allow_cloud_for_internal,
            )
            call = _call(exchange, target, cold=attempt.is_cold)
            if deployment.is_composed:
                self._compose(exchange, call)
            begun = reply = await target.provider.open(clearance, call)
            arrival, head = exchange.arrival, exchange.head
            rendering = Rendering(
                id=exchange.id,
                model=head.model,
                created=exchange.started_ms // 1000,
                include_usage=head.wants_usage,
            )
            begun = passage = choose(reply, arrival.wire, rendering, stream=head.stream, wants_usage=head.wants_usage)
            answer = Answer(exchange, attempt, passage, self._settlement, runtime.keep[exchange.sensitivity])
            await answer.begin()
        except BaseException as error:
            failure = error if isinstance(error, UpstreamFailure) else _passed_over(error)
            attempt.end(Ending.FAILED if failure is not None else Ending.CANCELLED, failure=failure)
            if isinstance(error, asyncio.CancelledError) and call is not None and (begun is not None or call.was_sent):
                _cut_short(exchange, attempt, passage)
            if begun is not None:
                begun.close()
            if failure is not None and failure is not error:
                raise failure from error
            raise
        return answer

    def _compose(self, exchange: Exchange, call: Call) -> None:
        """Let the provider put questions in this exchange's name; a part has no parts. After another composed attempt they go on counting."""
        if exchange.arrival.parent_id or self._parts is None:
            raise Unsupported("A council has no councils among its members.", param="model")
        exchange.parts = call.parts = exchange.parts or self._parts(exchange)

    def _skip_probed(self, plan: Plan, position: int) -> int:
        """Pass over candidates whose breaker let another request's probe in since the plan was made; the last one stands."""
        while position + 1 < len(plan.candidates):
            state = plan.candidates[position].live.breaker
            if state.state is BreakerState.CLOSED or breaker.admits(state, self._clock.monotonic()):
                break
            position += 1
        return position

    def _remaining(self, exchange: Exchange) -> float | None:
        timeout = exchange.arrival.timeout
        return None if timeout is None else exchange.started + timeout - self._clock.monotonic()

    def _is_late(self, exchange: Exchange) -> bool:
        remaining = self._remaining(exchange)
        return remaining is not None and remaining <= 0

    def _decide(  # noqa: PLR0917  the state of the walk
        self, exchange: Exchange, plan: Plan, runtime: Runtime, position: int, tries_here: int, failures: list[Failed]
    ) -> Step:
        candidate, failure = failures[-1]
        live = candidate.backend_live
        return next_step(
            plan=plan,
            position=position,
            tries_here=tries_here,
            attempts_made=sum(each.kind not in PASSED_OVER for _, each in failures),
            failure=failure,
            policy=runtime.policy,
            budget=RetryBudget(in_flight=live.in_flight, retries_in_flight=live.retries_in_flight),
            remaining=self._remaining(exchange),
            jitter=self._jitter(),
        )


def _cut_short(exchange: Exchange, attempt: Attempt, passage: Passage | None) -> None:
    """The caller went away, or its deadline passed, when the upstream had the prompt: that is charged, as of an aborted stream."""
    facts = attempt.target.deployment
    if facts.is_composed:
        return  # its parts are exchanges of their own
    if passage is not None:
        usage = measured(exchange, passage, facts)
    else:
        usage = Usage(input=exchange.head.prompt_tokens, estimated=True)
    exchange.lose(usage, facts, gpu_milliseconds=attempt.milliseconds)


def _passed_over(error: BaseException) -> UpstreamFailure | None:
    """The failure that stands for a refusal before anything was sent; None for all other errors."""
    if isinstance(error, NotServable):
        return UpstreamFailure(FailureKind.NOT_LOCAL, error.message, refusal=error)
    if isinstance(error, Unsupported):
        return UpstreamFailure(FailureKind.UNSUPPORTED, error.message, refusal=error)
    return None


def _call(exchange: Exchange, target: Target, *, cold: bool) -> Call:
    arrival, head = exchange.arrival, exchange.head
    return Call(
        wire=arrival.wire,
        body=arrival.body,
        request=exchange.request,
        model=target.deployment.upstream_model,
        stream=head.stream,
        wants_usage=head.wants_usage,
        deadlines=target.cold_deadlines if cold else target.deadlines,
        extra_head=arrival.extra_head,
    )
