"""Requests of the operator's own, as ordinary walks through the pipeline: nobody's limits, nobody's budgets, the lowest class.

Owns the operator as their caller, and giving way to real work. What is replayed, when, and within what cost is decided by others
(evals/). Implements ports/replays.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.chat import Operation
from junto.core.completion import Completion, Folder
from junto.core.errors import DeadlinePassed, JuntoError, Overloaded, Unsupported, UpstreamFailed, UpstreamFailure
from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.sensitivity import Locality, parse_sensitivity
from junto.dialects import openai
from junto.dialects.amendment import Amendment
from junto.gateway.answer import BROKEN_OFF
from junto.gateway.exchange import Arrival
from junto.gateway.payment import WHOLE, most
from junto.gateway.tasks import resolve
from junto.identity.principal import Principal
from junto.ports.replays import GaveWay, Prospect, Purpose, Replay, Replayed
from junto.routing.facts import Traits
from junto.routing.plan import plan
from junto.routing.refusals import error_for_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from junto.catalog.model import Resolution
    from junto.catalog.resolve import Snapshot
    from junto.dialects.wire import Head, Wire
    from junto.gateway.answer import Answer
    from junto.gateway.exchange import Exchange
    from junto.gateway.pipeline import Pipeline
    from junto.gateway.runtime import Current
    from junto.ports.clock import Clock
    from junto.ports.replays import ChatReplay, OnRecord
    from junto.routing.facts import DeploymentFacts

OPERATOR: Final = "operator"  # the client that replays are charged to
_QUIET_MS: Final = 30_000  # that a local backend is not used before a shadow has another model loaded there
_LOOK_AGAIN: Final = 0.25  # seconds until one that waits looks again whether there is a place
_GAVE_WAY: Final = "Real work came first."


class PipelineReplays:
    """Implements ports.replays.Replays. `wires` are all that callers speak, by their names; `make_id` makes ids of exchanges."""

    def __init__(
        self,
        pipeline: Pipeline,
        current: Current,
        *,
        wires: Mapping[str, Wire],
        clock: Clock,
        make_id: Callable[[], str],
    ) -> None:
        self._pipeline = pipeline.resolving(resolve_alone)
        self._current = current
        self._wires = wires
        self._clock = clock
        self._make_id = make_id

    def body_for(self, wire: str, body: bytes, model: str) -> bytes:
        spoken = self._wire(wire)
        told = spoken.relay_request(body, model)
        if spoken.peek(told).max_tokens is not None:
            return told
        return spoken.amend(told, Amendment(max_tokens=WHOLE)).body

    def prospect(self, replay: Replay) -> Prospect:
        try:
            return self._prospect(replay)
        except JuntoError as error:
            return Prospect(refusal=error)

    async def run(self, replay: Replay, *, on_record: OnRecord | None = None) -> Replayed:
        walk = _Walk(replay, self._wire(replay.wire), on_record)
        try:
            async with asyncio.timeout(replay.deadline_s):
                return await walk.result(self._pipeline)
        except TimeoutError:
            raise DeadlinePassed(f"No whole answer came within {replay.deadline_s:g} s.") from None

    def replay_of(self, chat: ChatReplay) -> Replay:
        return Replay(
            id=self._make_id(),
            purpose=chat.purpose,
            wire=openai.CHAT.name,
            body=openai.CHAT.render_request(chat.request, chat.request.model, False),  # noqa: FBT003  the wire's own signature
            tenant_id=chat.tenant_id,
            sensitivity=chat.sensitivity,
            allow_cloud=chat.allow_cloud,
            task_type=chat.task_type,
            parent_id=chat.parent_id,
            deadline_s=chat.deadline_s,
        )

    async def chat(self, chat: ChatReplay, *, on_record: OnRecord | None = None) -> Replayed:
        until = self._clock.monotonic() + chat.deadline_s
        while True:
            left = until - self._clock.monotonic()
            if left <= 0:
                raise GaveWay(_GAVE_WAY)
            replay = self.replay_of(msgspec.structs.replace(chat.by_now, deadline_s=left))
            prospect = self.prospect(replay)
            if prospect.refusal is not None:
                raise prospect.refusal
            if prospect.is_idle:
                try:
                    return await self.run(replay, on_record=on_record)
                except GaveWay:
                    pass
            await asyncio.sleep(min(_LOOK_AGAIN, left))

    def _wire(self, name: str) -> Wire:
        wire = self._wires.get(name)
        if wire is None or wire is openai.COUNCIL or wire.operation is not Operation.CHAT:
            raise Unsupported(f"What came by {name or 'no wire'} is not replayed.")
        return wire

    def _prospect(self, replay: Replay) -> Prospect:
        runtime, now = self._current.runtime, self._clock.monotonic()
        wire = self._wire(replay.wire)
        head = wire.peek(replay.body)
        traits = _traits(replay, head, wire.operation)
        stages = runtime.snapshot.resolve(head.model).stages[:1]
        chosen = plan(traits, stages, runtime.policy, now=now, seed=0)
        candidates = [one for one in chosen.candidates if not one.is_composed]
        if not candidates:
            if chosen.candidates:
                raise _composed()
            raise error_for_empty(chosen, traits, head.model, now=now)
        first = next((one for one in candidates if self._is_idle(one, replay.purpose)), candidates[0])
        return Prospect(
            backend=first.backend,
            model=first.model,
            is_local=first.locality is Locality.LOCAL,
            is_idle=self._is_idle(first, replay.purpose),
            nano=most(head, candidates),
        )

    def _is_idle(self, facts: DeploymentFacts, purpose: Purpose) -> bool:
        """Whether a replay there would make nobody wait: a free slot and no queue; a local backend without slots does nothing else.

        A model that would have to be loaded may push out the one that is in use, so there a shadow waits until that one is not.
        """
        live = facts.backend_live
        if live.queued or (live.slots is not None and live.in_use >= live.slots):
            return False
        if facts.locality is not Locality.LOCAL:
            return True
        if live.slots is None and live.in_flight:
            return False
        is_cold = live.resident is not None and facts.upstream_model not in live.resident
        return not is_cold or purpose is not Purpose.SHADOW or self._is_quiet(facts.backend)

    def _is_quiet(self, backend: str) -> bool:
        deployments = self._current.runtime.snapshot.deployments
        used = max((one.live.last_used_ms for one in deployments if one.backend == backend), default=0)
        return self._clock.wall_ms() - used >= _QUIET_MS


class _Walk:
    """One replay on its way, and whether it was told to give way."""

    def __init__(self, replay: Replay, wire: Wire, on_record: OnRecord | None) -> None:
        self._replay = replay
        self._wire = wire
        self._on_record = on_record
        self._reading: asyncio.Task[tuple[Completion, Answer]] | None = None
        self._gave_way = False

    async def result(self, pipeline: Pipeline) -> Replayed:
        """The whole answer; a task of its own, so that giving way and being cancelled are two things."""
        self._reading = reading = asyncio.ensure_future(self._read(pipeline))
        try:
            completion, answer = await asyncio.shield(reading)
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if self._gave_way and reading.cancelled() and not (this is not None and this.cancelling()):
                raise GaveWay(_GAVE_WAY) from None
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)  # what it holds is given back before anybody goes on
            raise
        except Overloaded as error:
            raise GaveWay(_GAVE_WAY, reasons=error.reasons) from error
        record = answer.record
        if record is None or record.outcome is not Outcome.OK:
            raise UpstreamFailed(BROKEN_OFF)
        return _replayed(completion, record)

    async def _read(self, pipeline: Pipeline) -> tuple[Completion, Answer]:
        answer = await pipeline.open(self._arrival())
        pieces: list[bytes] = []
        try:
            while piece := await answer.read():
                pieces.append(piece)
                await asyncio.sleep(0)  # an answer that is all there must not keep the loop from real work
        finally:
            answer.close()
            if answer.record is not None:
                self._told(answer.record)
        return _folded(self._wire, b"".join(pieces), is_stream=answer.streams), answer

    def _arrival(self) -> Arrival:
        replay = self._replay
        return Arrival(
            id=replay.id,
            wire=self._wire,
            body=replay.body,
            principal=_operator(replay),
            sensitivity=replay.sensitivity,
            task_type=replay.task_type or None,
            parent_id=replay.parent_id,
            purpose=replay.purpose.value,
            on_refused=self._told,
            give_way=self._give_way,
        )

    def _told(self, record: ExchangeRecord) -> None:
        if self._on_record is not None:
            self._on_record(record)

    def _give_way(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._gave_way = True
            self._reading.cancel()


def resolve_alone(exchange: Exchange, snapshot: Snapshot) -> Resolution:
    """The name and nothing behind it: what another model answers would say nothing of the one that was asked."""
    resolution = resolve(exchange, snapshot)
    if any(one.is_composed for one in resolution.stages[0].candidates):
        raise _composed()
    return msgspec.structs.replace(resolution, stages=resolution.stages[:1])


def _composed() -> Unsupported:
    return Unsupported("A council is neither a shadow nor a judge.", param="model")


def _operator(replay: Replay) -> Principal:
    tier = parse_sensitivity(replay.sensitivity)
    return Principal(
        tenant=replay.tenant_id,
        client=OPERATOR,
        client_id=OPERATOR,
        scopes=frozenset(),
        allow_cloud_for_internal=replay.allow_cloud,
        min_sensitivity=tier,
    )


def _traits(replay: Replay, head: Head, operation: Operation) -> Traits:
    return Traits(
        operation=operation,
        needs=head.needs,
        prompt_tokens=head.prompt_tokens,
        max_tokens=head.max_tokens,
        stream=head.stream,
        sensitivity=parse_sensitivity(replay.sensitivity),
        allow_cloud_for_internal=replay.allow_cloud,
    )


def _folded(wire: Wire, body: bytes, *, is_stream: bool) -> Completion:
    if not is_stream:
        try:
            whole = wire.parse_response(body)
        except UpstreamFailure as failure:
            raise UpstreamFailed(BROKEN_OFF) from failure
        if not isinstance(whole, Completion):
            raise UpstreamFailed(BROKEN_OFF)
        return whole
    folder, parser = Folder(), wire.event_parser()
    for event in (*parser.feed(body), *parser.end()):
        folder.add(event)
    if folder.failure is not None:
        raise UpstreamFailed(BROKEN_OFF)
    return folder.completion()


def _replayed(completion: Completion, record: ExchangeRecord) -> Replayed:
    return Replayed(
        text=completion.text,
        tool_calls=completion.tool_calls,
        finish_reason=record.finish_reason,
        model=record.model,
        backend=record.backend,
        usage=record.usage,
        nano=record.cost_nano,
        latency_ms=record.duration_ms,
        record=record,
    )
