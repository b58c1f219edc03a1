"""The parts of a composed exchange: further walks through the pipeline in its name, and what they come to together.

A part has the caller, the floor and the tier of its parent; its parent has counted against the caller's limits, and put aside what
all parts may cost. Implements ports/parts.py; knows nothing of councils.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import BudgetExceeded, JuntoError, UpstreamFailed
from junto.core.events import Failure
from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.sensitivity import Locality
from junto.core.usage import Usage, estimate_tokens
from junto.dialects import openai
from junto.dialects.amendment import Amendment
from junto.gateway.answer import BROKEN_OFF
from junto.gateway.exchange import Arrival
from junto.gateway.payment import most
from junto.ports.parts import Outlook
from junto.routing.facts import Traits
from junto.routing.plan import plan
from junto.routing.refusals import error_for_empty

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from junto.core.events import Event
    from junto.core.sensitivity import Sensitivity
    from junto.dialects.wire import Head
    from junto.gateway.admission import Admission
    from junto.gateway.answer import Answer
    from junto.gateway.credit import Hold
    from junto.gateway.exchange import Exchange
    from junto.gateway.runtime import Current
    from junto.identity.principal import Principal
    from junto.ports.clock import Clock
    from junto.ports.parts import Ask

_WIRE = openai.CHAT
_USUAL_ANSWER = 512  # tokens that a part without a maximum is expected to have


class ExchangeParts:
    """The parts of one exchange."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        current: Current,
        admission: Admission,
        clock: Clock,
        open: Callable[[Arrival], Awaitable[Answer]],
    ) -> None:
        self._exchange = exchange
        self._current = current
        self._admission = admission
        self._clock = clock
        self._open = open
        self._pool: Hold | None = None
        self._number = 0
        self._opening: dict[str, int] = {}  # tokens of prompts that are on their way, by the part's id
        self._begun: list[ExchangePart] = []
        self.usage = Usage()
        self.nano = 0

    @property
    def tier(self) -> Sensitivity:
        return self._exchange.sensitivity

    @property
    def seconds_left(self) -> float | None:
        timeout = self._exchange.arrival.timeout
        return None if timeout is None else self._exchange.started + timeout - self._clock.monotonic()

    def outlook(self, ask: Ask) -> Outlook:
        runtime, now = self._current.runtime, self._clock.monotonic()
        head = _WIRE.peek(self._body(ask))
        traits = self._traits(head, self._principal(ask))
        try:
            resolution = runtime.snapshot.resolve(head.model)
        except JuntoError as unknown:
            return Outlook(refusal=unknown)
        chosen = plan(traits, resolution.stages, runtime.policy, now=now, seed=0)
        if not chosen.candidates:
            return Outlook(refusal=error_for_empty(chosen, traits, head.model, now=now))
        first = chosen.candidates[0]
        return Outlook(
            backend=first.backend,
            model=first.model,
            is_local=first.locality is Locality.LOCAL,
            is_resident=first.upstream_model in (first.backend_live.resident or ()),
            nano=most(head, chosen.candidates),
            tokens=head.prompt_tokens + (head.max_tokens or _USUAL_ANSWER),
            window=first.context_length,
        )

    async def reserve(self, *, nano: int, tokens: int) -> None:
        exchange = self._exchange
        if exchange.permit is not None:
            exchange.permit.expect(tokens)
        if not nano:
            return
        if exchange.arrival.funds is not None:
            if not await exchange.arrival.funds.extend(nano):
                raise BudgetExceeded("The job's budgets have no room for the members of this council.")
        elif exchange.principal.budgets and self._pool is None:
            self._pool = await self._admission.hold(exchange.principal.budgets, nano)

    async def open(self, ask: Ask, *, nano: int, within: float | None) -> ExchangePart:
        self._number += 1
        parent = self._exchange
        arrival = Arrival(
            id=f"{parent.id}.{self._number}",
            wire=_WIRE,
            body=self._body(ask),
            principal=self._principal(ask),
            sensitivity=parent.sensitivity.label,
            timeout=within,
            parent_id=parent.id,
            job_id=parent.arrival.job_id,
            priority=parent.arrival.priority,
            hold=None if self._pool is None else self._pool.split(nano),
            on_refused=self._settled,
            purpose=parent.arrival.purpose,
        )
        self._opening[arrival.id] = estimate_tokens(len(arrival.body))
        try:
            answer = await self._open(arrival)
        except BaseException:
            if arrival.hold is not None:  # the walk may have ended before it took it over
                arrival.hold.settle(0)
            raise
        finally:
            self._opening.pop(arrival.id, None)
        part = ExchangePart(answer, self._settled)
        self._begun.append(part)
        return part

    def settle(self) -> None:
        """The whole is over: what is under way ends, with what it has used so far, and what was put aside goes back. Safe to call twice."""
        for part in self._begun:
            part.close()
        self._begun.clear()
        self.usage = self.usage.plus(Usage(input=sum(self._opening.values()), estimated=bool(self._opening)))
        self._opening.clear()
        if self._pool is not None:
            self._pool.settle(0)

    def _settled(self, record: ExchangeRecord) -> None:
        self.usage = self.usage.plus(record.usage)
        self.nano += record.cost_nano

    def _body(self, ask: Ask) -> bytes:
        """The part's request; an agent's words end what the system says in each, since they are its words that are said."""
        body = _WIRE.render_request(ask.request, ask.request.model, True)  # noqa: FBT003  the wire's own signature
        persona = self._exchange.persona
        if persona is None or persona.amendment.closing is None:
            return body
        return _WIRE.amend(body, Amendment(closing=persona.amendment.closing)).body

    def _principal(self, ask: Ask) -> Principal:
        """The caller, whose limits the parent counts against; whoever may ask a council may hear all of its members."""
        principal = self._exchange.principal
        allowed = principal.allowed_models if ask.by_caller else None
        return msgspec.structs.replace(principal, limited_by=None, allowed_models=allowed)

    def _traits(self, head: Head, principal: Principal) -> Traits:
        return Traits(
            operation=_WIRE.operation,
            needs=head.needs,
            prompt_tokens=head.prompt_tokens,
            max_tokens=head.max_tokens,
            stream=True,
            sensitivity=self.tier,
            allow_cloud_for_internal=principal.allow_cloud_for_internal,
            allowed_models=principal.allowed_models,
        )


class ExchangePart:
    """One part under way, read as events."""

    def __init__(self, answer: Answer, settled: Callable[[ExchangeRecord], None]) -> None:
        self._answer = answer
        self._parser = _WIRE.event_parser()
        self._settled = settled
        self._record: ExchangeRecord | None = None
        self._ended = False
        self.backend, self.model = answer.answered_by

    @property
    def usage(self) -> Usage | None:
        return None if self._record is None else self._record.usage

    @property
    def nano(self) -> int:
        return 0 if self._record is None else self._record.cost_nano

    async def events(self) -> Sequence[Event]:
        while not self._ended:
            piece = await self._answer.read()
            events = self._parser.feed(piece) if piece else self._parser.end()
            if not piece:
                self._ended = True
                self.close()
                record = self._record
                if record is None or record.outcome is not Outcome.OK:
                    raise UpstreamFailed(BROKEN_OFF)
            if any(type(event) is Failure for event in events):
                raise UpstreamFailed(BROKEN_OFF)
            if events:
                return events
        return ()

    def close(self) -> None:
        self._answer.close()
        if self._record is None and self._answer.record is not None:
            self._record = self._answer.record
            self._settled(self._record)
