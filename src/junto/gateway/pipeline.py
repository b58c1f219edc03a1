"""The walk of one request, from its bytes to the beginning of its answer.

Reads as a table of contents: each step is a file of this folder or a pure function of routing/.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Final

from junto.core.errors import DeadlinePassed, JuntoError
from junto.gateway.attempts import Attempts
from junto.gateway.tasks import resolve
from junto.routing.facts import Traits
from junto.routing.plan import plan
from junto.routing.refusals import error_for_empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.catalog.model import Resolution
    from junto.catalog.resolve import Snapshot
    from junto.gateway.admission import Admission
    from junto.gateway.answer import Answer
    from junto.gateway.exchange import Arrival, Exchange
    from junto.gateway.runtime import Current, Runtime
    from junto.gateway.settlement import Settlement
    from junto.ports.clock import Clock
    from junto.routing.facts import Plan

    type Resolve = Callable[[Exchange, Snapshot], Resolution]

_BROKEN: Final = JuntoError("Something went wrong inside Junto.")


class Pipeline:
    """Answers arrivals. One for the whole process; holds no state of a request."""

    def __init__(
        self,
        current: Current,
        *,
        admission: Admission,
        attempts: Attempts,
        settlement: Settlement,
        clock: Clock,
        resolve: Resolve = resolve,
    ) -> None:
        self._current = current
        self._admission = admission
        self._attempts = attempts
        self._settlement = settlement
        self._clock = clock
        self._resolve = resolve
        self._seeds: dict[str, count[int]] = defaultdict(count)  # by name, so that each name's turns are its own

    async def open(self, arrival: Arrival) -> Answer:
        """The answer, begun; raises a JuntoError when there is none. The caller must read and close it."""
        runtime = self._current.runtime
        exchange = self._admission.admit(arrival, runtime.default_sensitivity)
        try:
            if exchange.principal.limited_by is not None:
                permitted = self._admission.permit(exchange)
                if permitted is not None:
                    exchange.permit = await permitted
            resolution = self._resolve(exchange, runtime.snapshot)
            if arrival.timeout is None:
                return await self._attempt(exchange, resolution, runtime)
            return await self._attempt_in_time(exchange, resolution, runtime, arrival.timeout)
        except JuntoError as error:
            self._settlement.refused(exchange, error, keep=runtime.keep[exchange.sensitivity])
            raise
        except Exception:
            self._settlement.refused(exchange, _BROKEN, keep=runtime.keep[exchange.sensitivity])
            raise
        except BaseException:
            with contextlib.suppress(JuntoError):  # it cannot be written down, and nobody is left to be told
                self._settlement.refused(exchange, None, keep=runtime.keep[exchange.sensitivity])
            raise

    def resolving(self, resolve: Resolve) -> Pipeline:
        """The same pipeline for requests whose models are looked up in another way."""
        return Pipeline(
            self._current,
            admission=self._admission,
            attempts=self._attempts,
            settlement=self._settlement,
            clock=self._clock,
            resolve=resolve,
        )

    async def _attempt(self, exchange: Exchange, resolution: Resolution, runtime: Runtime) -> Answer:
        traits = traits_of(exchange)
        seed = next(self._seeds[resolution.name])
        chosen = plan(traits, resolution.stages, runtime.policy, now=self._clock.monotonic(), seed=seed)
        if not chosen.candidates:
            raise error_for_empty(chosen, traits, exchange.head.model, now=self._clock.monotonic())
        if exchange.principal.budgets:
            reserved = self._admission.reserve(exchange, chosen.candidates)
            if reserved is not None:
                exchange.hold = await reserved
        answer = await self._attempts.run(exchange, chosen, runtime)
        answer.is_fallback = is_fallback(chosen, answer.position, resolution)
        return answer

    async def _attempt_in_time(
        self, exchange: Exchange, resolution: Resolution, runtime: Runtime, seconds: float
    ) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                return await self._attempt(exchange, resolution, runtime)
        except TimeoutError:
            raise DeadlinePassed(f"No answer began within {seconds:g} s.") from None


def is_fallback(chosen: Plan, position: int, resolution: Resolution) -> bool:
    """Whether another deployment answered than the one that was meant to, or one of another name."""
    if position:
        return True
    return bool(chosen.stage_names) and chosen.stage_names[0] != resolution.stages[0].name


def traits_of(exchange: Exchange) -> Traits:
    """What routing needs to know of an exchange."""
    head, principal = exchange.head, exchange.principal
    return Traits(
        operation=exchange.arrival.wire.operation,
        needs=head.needs,
        prompt_tokens=head.prompt_tokens,
        max_tokens=head.max_tokens,
        stream=head.stream,
        sensitivity=exchange.sensitivity,
        allow_cloud_for_internal=principal.allow_cloud_for_internal,
        allowed_models=principal.allowed_models,
        session=exchange.arrival.session,
    )
