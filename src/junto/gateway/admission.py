"""Whether a request comes in at all: readable, recorded, at which tier, within its client's limits, and paid for.

Decides nothing about deployments. What was permitted and held is given back by settlement, on every way out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import Overloaded
from junto.core.sensitivity import Sensitivity, parse_sensitivity
from junto.gateway.exchange import Arrival, Exchange
from junto.gateway.payment import most
from junto.gateway.personas import PREFIX, floor_of, persona_of, put_on
from junto.routing.sensitivity import effective_sensitivity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from junto.gateway.credit import Hold
    from junto.gateway.limits import Limiter
    from junto.gateway.permit import Permit
    from junto.gateway.personas import Persona, Personas
    from junto.gateway.purse import Purse
    from junto.gateway.tasks import Tasks
    from junto.identity.principal import Budget, Principal
    from junto.ports.clock import Clock
    from junto.ports.stores import Recorder
    from junto.routing.facts import DeploymentFacts

_LONGEST_TASK = 200  # characters; it is stored and logged with the metadata, so it must not carry content
_USUAL_ANSWER = 512  # tokens that a limit counts beforehand for an answer without a maximum
_NO_ROOM_RETRY_AFTER = 5.0  # seconds; the flusher tries again at least that often


class Admission:
    """Turns arrivals into exchanges, or refuses them."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        clock: Clock,
        limiter: Limiter | None = None,
        purse: Purse | None = None,
        act_for: Callable[[Principal, str], Principal] | None = None,
        tasks: Tasks | None = None,
        personas: Personas | None = None,
    ) -> None:
        self._recorder = recorder
        self._clock = clock
        self._limiter = limiter
        self._purse = purse
        self._act_for = act_for
        self._tasks = tasks
        self._personas = personas

    def admit(self, arrival: Arrival, default: Sensitivity) -> Exchange:
        """The exchange, with its tier fixed for good; raises InvalidRequest or Overloaded."""
        if not self._recorder.has_room:
            raise Overloaded("Exchanges cannot be recorded right now.", retry_after=_NO_ROOM_RETRY_AFTER)
        head = arrival.wire.peek(arrival.body)
        metadata = head.metadata
        principal = arrival.principal
        if metadata and self._act_for is not None and arrival.wire.dialect == "native" and "tenant_id" in metadata:
            principal = self._act_for(principal, metadata["tenant_id"])
        task_type = (arrival.task_type or metadata.get("task_type", ""))[:_LONGEST_TASK]
        routed = None if self._tasks is None else self._tasks.routed(head.model, task_type, arrival.id)
        if routed is not None and self._tasks is not None:
            task_type = routed.task_type[:_LONGEST_TASK]
            head = self._tasks.amended(arrival, head, routed, principal)
        persona: Persona | None = None
        if head.model.startswith(PREFIX) and self._personas is not None:
            persona = persona_of(self._personas, principal, head.model)
            put_on(persona, arrival)
            head = arrival.wire.peek(arrival.body)
        return Exchange(
            id=arrival.id,
            arrival=arrival,
            head=head,
            principal=principal,
            sensitivity=effective_sensitivity(
                default=default,
                principal_min=principal.min_sensitivity,
                asked_header=_asked(arrival.sensitivity, "X-Junto-Sensitivity"),
                asked_body=_asked(metadata.get("sensitivity"), "metadata.sensitivity"),
                route_floor=None if routed is None and persona is None else floor_of(routed, persona),
            ),
            task_type=task_type,
            started=self._clock.monotonic(),
            started_ms=self._clock.wall_ms(),
            attempts=[],
            routed=routed,
            persona=persona,
        )

    def permit(self, exchange: Exchange) -> Awaitable[Permit] | None:
        """Count the request against its client's and its tenant's limits; what is to be awaited where the store must be asked.

        The permit is the exchange's then. Waiting raises RateLimited.
        """
        by, limiter = exchange.principal.limited_by, self._limiter
        if by is None or limiter is None:
            return None
        head = exchange.head
        tokens = head.prompt_tokens + (head.max_tokens or _USUAL_ANSWER) * head.answers
        exchange.permit = limiter.take(by, tokens)
        return limiter.acquire(by, tokens) if exchange.permit is None else None

    def reserve(self, exchange: Exchange, candidates: Sequence[DeploymentFacts]) -> Awaitable[Hold] | None:
        """Hold what the request may cost at most; what is to be awaited where it is not at hand.

        The hold is the exchange's then. Waiting raises BudgetExceeded, and Overloaded where budgets cannot be asked.
        """
        budgets, purse = exchange.principal.budgets, self._purse
        if not budgets or purse is None or exchange.arrival.job_id:
            return None
        if exchange.arrival.hold is not None:
            exchange.hold = exchange.arrival.hold  # a part: it was put aside for all of them
            return None
        nano = most(exchange.head, candidates)
        exchange.hold = purse.reserve(budgets, nano)
        return purse.acquire(budgets, nano) if exchange.hold is None else None

    async def hold(self, budgets: tuple[Budget, ...], nano: int) -> Hold | None:
        """Hold that much for what an answer is composed of; raises as `reserve` does."""
        purse = self._purse
        return None if purse is None else purse.reserve(budgets, nano) or await purse.acquire(budgets, nano)


def _asked(label: str | None, param: str) -> Sensitivity | None:
    return None if label is None else parse_sensitivity(label, param=param)
