"""What an exchange comes to: usage, cost, the stored record. Runs once for every admitted exchange, however it ended.

The record is in the recorder before the end of the answer is acknowledged to the caller; whole answers whose edge commits the
recorder itself are written down together with others of the same moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.money import cost
from junto.core.usage import Usage, estimate_tokens
from junto.gateway.plausibility import BELIEVED, believable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.core.errors import JuntoError
    from junto.gateway.attempt import Attempt
    from junto.gateway.credit import Paid
    from junto.gateway.exchange import Exchange, Lost
    from junto.gateway.parts import ExchangeParts
    from junto.gateway.passage import Passage
    from junto.ports.clock import Clock
    from junto.ports.observer import Observer
    from junto.ports.stores import Recorder
    from junto.routing.facts import DeploymentFacts

STORED_BODY_LIMIT = 4 * 1024 * 1024  # bytes of one body that are kept; the rest is left out and flagged


class Settlement:
    """Turns ended exchanges into records."""

    def __init__(self, *, recorder: Recorder, observer: Observer, clock: Clock) -> None:
        self._recorder = recorder
        self._observer = observer
        self._clock = clock

    def now(self) -> float:
        """Monotonic seconds, of the same clock that exchanges are timed by."""
        return self._clock.monotonic()

    def answered(
        self,
        exchange: Exchange,
        attempt: Attempt,
        passage: Passage,
        usage: Usage,
        *,
        keep: str,
        first: float,
        stored: Sequence[bytes] = (),
        truncated: bool = False,
        outcome: Outcome = Outcome.OK,
        error: JuntoError | None = None,
    ) -> ExchangeRecord:
        """Settle an exchange that got an answer, in whole or in part, and used so much; its attempt has ended.

        What is written down is the exchange's own; what is returned has with it what its parts came to.
        """
        facts = attempt.target.deployment
        now = self._clock.monotonic()
        duration_ms = int((now - exchange.started) * 1000)
        arrival = exchange.arrival
        full = keep == "full"
        if full and not self._recorder.has_room_for_bodies:
            full, truncated = False, True
        usage, price = _own(exchange, attempt, usage)
        head, principal, wire = exchange.head, exchange.principal, arrival.wire
        # By position, and enums by the attribute behind `value`: this runs for every answer, and names would cost three times as much.
        record = ExchangeRecord(
            exchange.id,
            exchange.started_ms,
            wire.name,
            wire.operation._value_,
            head.model,
            exchange.sensitivity.label,
            principal.tenant,
            principal.client,
            principal.client_id,
            principal.key_id,
            facts.model,
            facts.backend,
            facts.locality._value_,
            200,  # status
            passage.finish_reason,
            usage.input,
            usage.output,
            price,
            facts.price_date,
            int((first - exchange.started) * 1000) if first else 0,
            duration_ms,
            keep,
            wire.name,
            exchange.task_type,
            error.code if error is not None else "",
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
            arrival.job_id,
            arrival.prompt_version,
            arrival.purpose,
            arrival.parent_id,
            exchange.parts.nano if exchange.parts is not None else 0,
            outcome,
            head.stream,
            head.stream,
            usage.estimated,
            truncated or (full and len(arrival.body) > STORED_BODY_LIMIT),
            tuple(exchange.attempts),
            settled(exchange, tokens=usage.total, nano=price),
            arrival.body[:STORED_BODY_LIMIT] if full else b"",
            b"".join(stored) if full else b"",
        )
        if arrival.commits and not exchange.head.stream:
            self._recorder.add(record)
        else:
            self._recorder.append(record)
        self._observer.exchange_ended(record)
        return record if exchange.parts is None else _with_parts(record, exchange.parts)

    def refused(self, exchange: Exchange, error: JuntoError | None, *, keep: str) -> None:
        """Settle an exchange that got no answer: an error, or (None) the caller went away first."""
        arrival = exchange.arrival
        full = keep == "full"
        lost = exchange.lost
        paid = (
            settled(exchange, tokens=lost.usage.total, nano=lost.nano) if lost else settled(exchange, tokens=0, nano=0)
        )
        record = ExchangeRecord(
            id=exchange.id,
            started_ms=exchange.started_ms,
            tenant=exchange.principal.tenant,
            client=exchange.principal.client,
            client_id=exchange.principal.client_id,
            key_id=exchange.principal.key_id,
            job_id=arrival.job_id,
            prompt_version=arrival.prompt_version,
            purpose=arrival.purpose,
            wire=arrival.wire.name,
            operation=arrival.wire.operation.value,
            requested_model=exchange.head.model[:200],
            sensitivity=exchange.sensitivity.label,
            task_type=exchange.task_type,
            stream=exchange.head.stream,
            outcome=Outcome.CANCELLED if error is None else Outcome.ERROR,
            status=499 if error is None else error.status,
            error_code="" if error is None else error.code,
            duration_ms=int((self._clock.monotonic() - exchange.started) * 1000),
            attempts=tuple(exchange.attempts),
            parent_id=arrival.parent_id,
            keep=keep,
            request_body=arrival.body[:STORED_BODY_LIMIT] if full else b"",
            truncated=full and len(arrival.body) > STORED_BODY_LIMIT,
        )
        if lost is not None:
            record = _charged(record, lost, paid)
        if arrival.on_refused is not None:
            arrival.on_refused(record)
        self._recorder.append(record)
        self._observer.exchange_ended(record)


def _charged(record: ExchangeRecord, lost: Lost, paid: Paid) -> ExchangeRecord:
    """The record of an exchange without an answer whose attempts were not for nothing."""
    facts, usage = lost.deployment, lost.usage
    return msgspec.structs.replace(
        record,
        model=facts.model,
        backend=facts.backend,
        locality=facts.locality.value,
        input_tokens=usage.input,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
        reasoning_tokens=usage.reasoning,
        usage_estimated=usage.estimated,
        cost_nano=lost.nano,
        paid=paid,
        price_date=facts.price_date,
    )


def _own(exchange: Exchange, attempt: Attempt, usage: Usage) -> tuple[Usage, int]:
    """What the exchange itself used and cost, failed attempts included: a composed answer is its parts', which settle it themselves."""
    facts = attempt.target.deployment
    if facts.is_composed:
        usage = Usage()
    nano = cost(usage, facts.price, gpu_milliseconds=attempt.milliseconds)
    if exchange.lost is not None:
        usage, nano = usage.plus(exchange.lost.usage), nano + exchange.lost.nano
    return usage, nano


def _with_parts(record: ExchangeRecord, parts: ExchangeParts) -> ExchangeRecord:
    """What the caller is told of an exchange with parts, which have records of their own."""
    usage = record.usage.plus(parts.usage)
    return msgspec.structs.replace(
        record,
        input_tokens=usage.input,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
        reasoning_tokens=usage.reasoning,
        usage_estimated=usage.estimated,
        cost_nano=record.cost_nano + parts.nano,
    )


def settled(exchange: Exchange, *, tokens: int, nano: int) -> Paid:
    """Give back what was permitted and held beyond what was used; returns what the cost was paid from."""
    if exchange.parts is not None:
        exchange.parts.settle()
        tokens += exchange.parts.usage.total  # what they cost, they have paid
    if exchange.permit is not None:
        exchange.permit.settle(tokens)
    return exchange.hold.settle(nano) if exchange.hold is not None else ()


def measured(exchange: Exchange, passage: Passage, deployment: DeploymentFacts) -> Usage:
    """The upstream's own usage as far as it can be true, or Junto's count of the prompt and of what was streamed, flagged.

    Some upstreams tell of the input before their answer is over (Anthropic does): their count of the output is too low then.
    """
    usage = passage.usage
    if usage is not None and (usage.output or usage.input or usage.total or not passage.output_characters):
        if usage.total > BELIEVED:
            usage = believable(
                usage,
                exchange.head,
                body_bytes=len(exchange.arrival.body),
                context=deployment.context_length,
                characters=lambda: passage.output_characters,
            )
        if passage.finished:
            return usage
        streamed = estimate_tokens(passage.output_characters)
        return usage if streamed <= usage.output else msgspec.structs.replace(usage, output=streamed, estimated=True)
    return Usage(
        input=exchange.head.prompt_tokens,
        output=estimate_tokens(passage.output_characters),
        estimated=True,
    )
