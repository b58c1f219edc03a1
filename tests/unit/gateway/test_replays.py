"""Replays take what nobody else wants, give it back when somebody does, and are charged to the operator alone."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from junto.core.chat import ChatRequest, Message, Role, Text
from junto.core.errors import DeadlinePassed, FailureKind, JuntoError, NotServable, Unsupported, UpstreamFailure
from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.sensitivity import Locality, Sensitivity
from junto.core.usage import Usage
from junto.dialects import anthropic, native, ollama, openai
from junto.gateway.replays import PipelineReplays
from junto.ports.replays import ChatReplay, GaveWay, Purpose, Replay, Terms
from junto.providers.fake import Fake, Step, saying
from tests.unit.gateway.many_backends import Backend, ManyBackends
from tests.unit.gateway.one_backend import MODEL, OneBackend

pytestmark = pytest.mark.anyio

WIRES = {
    wire.name: wire
    for wire in (
        openai.CHAT, openai.COMPLETIONS, openai.EMBEDDINGS, openai.COUNCIL, anthropic.MESSAGES, ollama.CHAT, ollama.GENERATE, native.COMPLETE,
        native.COMPLETE_STREAM,
    )
}  # fmt: skip
SAYING = Step(events=saying("it is so", usage=Usage(input=3, output=3)))
SLOW = Step(events=saying("never read to its end"), pause=60.0)
PRICED = "- {backend: desk, model: '*', from: 2025-01-01, input: 1, output: 1}"
MESSAGES = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, dict[str, Any]] = {
    "openai.chat": {"model": "task/mail", "messages": MESSAGES},
    "openai.completions": {"model": "task/mail", "prompt": "Hello"},
    "anthropic.messages": {"model": "task/mail", "messages": MESSAGES, "max_tokens": 9},
    "ollama.chat": {"model": "task/mail:latest", "messages": MESSAGES, "stream": False},
    "ollama.generate": {"model": "task/mail", "prompt": "Hello", "stream": True},
    "native.complete": {"messages": MESSAGES, "task_type": "mail"},
    "native.complete_stream": {"messages": MESSAGES, "model": "auto"},
}


class Stand:
    """One backend, and the replays over it; `records` are what they were told of."""

    def __init__(self, *steps: Step, slots: int | None = 1, pricing: str = "") -> None:
        self.gateway = OneBackend(Fake("desk", script=steps or (SAYING,)), slots=slots, pricing=pricing)
        self.numbers = iter(range(1, 1000))
        self.replays = PipelineReplays(
            self.gateway.pipeline,
            self.gateway.pipeline._current,
            wires=WIRES,
            clock=self.gateway.clock,
            make_id=lambda: f"req_{next(self.numbers)}",
        )
        self.records: list[ExchangeRecord] = []

    def replay(self, wire: str = "openai.chat", **fields: Any) -> Replay:
        body = self.replays.body_for(wire, msgspec.json.encode(BODIES[wire]), MODEL)
        standing = {"id": "req_9", "purpose": Purpose.SHADOW, "tenant_id": "ten_1", "sensitivity": "internal"}
        return Replay(**{**standing, "wire": wire, "body": body, **fields})

    def begin(self, **fields: Any) -> asyncio.Task[Any]:
        return asyncio.ensure_future(self.replays.run(self.replay(**fields), on_record=self.records.append))

    def chat(self, **fields: Any) -> ChatReplay:
        request = ChatRequest(model=MODEL, messages=(Message(Role.USER, (Text("Judge."),)),))
        standing = {"request": request, "purpose": Purpose.JUDGE, "tenant_id": "ten_1", "sensitivity": "internal"}
        return ChatReplay(**{**standing, **fields})


@pytest.mark.parametrize("wire", list(BODIES))
async def test_what_came_by_any_chat_wire_is_replayed_on_another_model(wire: str) -> None:
    stand = Stand()
    replayed = await stand.begin(wire=wire)
    assert (replayed.text, replayed.model, replayed.backend) == ("it is so", MODEL, "desk")
    assert (replayed.usage.input, replayed.usage.output) == (3, 3)
    (record,) = stand.records
    assert (record.purpose, record.client, record.client_id, record.tenant) == (
        "shadow",
        "operator",
        "operator",
        "ten_1",
    )
    assert record is replayed.record
    assert stand.gateway.busy == 0


async def test_an_embedding_is_not_replayed_nor_what_came_by_no_known_wire() -> None:
    stand = Stand()
    for wire in ("openai.embeddings", "openai.council", "slack"):
        with pytest.raises(Unsupported):
            stand.replays.body_for(wire, b"{}", MODEL)


@pytest.mark.parametrize("wire", sorted(BODIES.keys() - {"openai.completions"}))
async def test_an_answer_without_a_bound_gets_one_and_a_bound_stays(wire: str) -> None:
    stand, body = Stand(), msgspec.json.encode(BODIES[wire])
    bound = WIRES[wire].peek(stand.replays.body_for(wire, body, MODEL)).max_tokens
    assert bound == (9 if wire == "anthropic.messages" else 4096)


async def test_real_work_that_would_wait_turns_a_replay_out_and_has_its_slot() -> None:
    stand = Stand(SLOW, SAYING)
    running = stand.begin()
    await stand.gateway.until_busy()
    assert b"it is so" in await asyncio.wait_for(stand.gateway.ask(), 5)
    with pytest.raises(GaveWay):
        await running
    (record,) = stand.records
    assert record.outcome is Outcome.CANCELLED
    assert stand.gateway.busy == 0


async def test_one_caller_turns_out_one_replay_and_two_turn_out_two() -> None:
    stand = Stand(SLOW, SLOW, SAYING, SAYING, slots=2)
    first = stand.begin(id="a")
    await stand.gateway.until_busy()
    second = stand.begin(id="b")
    await stand.gateway.until_busy(more_than=3)
    await asyncio.wait_for(stand.gateway.ask(), 5)
    with pytest.raises(GaveWay):
        await second
    assert not first.done()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert stand.gateway.busy == 0


async def test_a_deadline_is_no_reason_to_send_real_work_away_while_a_replay_makes_room() -> None:
    stand = Stand(SAYING, SLOW, SAYING)
    await stand.gateway.ask()
    stand.gateway.deployment.live.ttft = 100.0  # so the wait that is expected is far beyond the deadline
    running = stand.begin()
    await stand.gateway.until_busy()
    answer = await stand.gateway.pipeline.open(stand.gateway.arrival(timeout=5.0))
    answer.close()
    with pytest.raises(GaveWay):
        await running


async def test_a_replay_waits_in_no_queue() -> None:
    stand = Stand(SLOW, SAYING)
    caller = asyncio.ensure_future(stand.gateway.ask())
    await stand.gateway.until_busy()
    assert not stand.replays.prospect(stand.replay()).is_idle
    with pytest.raises(GaveWay):
        await stand.begin()
    assert stand.gateway.live.queued == 0
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert stand.replays.prospect(stand.replay()).is_idle


async def test_one_that_is_cancelled_is_cancelled_and_holds_nothing() -> None:
    stand = Stand(SLOW)
    running = stand.begin()
    await stand.gateway.until_busy()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [record.outcome for record in stand.records] == [Outcome.CANCELLED]
    assert stand.gateway.busy == 0


async def test_one_that_takes_too_long_ends_at_its_deadline() -> None:
    stand = Stand(SLOW)
    with pytest.raises(DeadlinePassed):
        await stand.begin(deadline_s=0.01)
    assert stand.gateway.busy == 0


async def test_what_a_failed_one_cost_is_told() -> None:
    failure = UpstreamFailure(FailureKind.CONTEXT_LENGTH, usage=Usage(input=5, output=0))
    stand = Stand(Step(failure=failure), pricing=PRICED)
    with pytest.raises(JuntoError):
        await stand.begin()
    assert [record.cost_nano for record in stand.records] == [5_000]


async def test_a_prospect_tells_what_it_may_cost_and_contacts_nobody() -> None:
    stand = Stand(pricing=PRICED)
    prospect = stand.replays.prospect(stand.replay(wire="anthropic.messages"))
    assert (prospect.backend, prospect.model, prospect.is_local, prospect.is_idle) == ("desk", MODEL, True, True)
    assert prospect.nano >= 9_000
    assert stand.gateway.shelf.records == []


async def test_confidential_content_goes_to_no_cloud_whatever_its_client_allows() -> None:
    sky = Backend(name="sky", locality=Locality.CLOUD, models={"m": "m"}, steps=(SAYING,))
    gateway = ManyBackends([sky], groups={}, fallbacks={}, default=Sensitivity.PUBLIC)
    replays = PipelineReplays(
        gateway.pipeline, gateway.pipeline._current, wires=WIRES, clock=gateway.clock, make_id=lambda: "req_1"
    )
    for tier, allowed in (("confidential", True), ("internal", False)):
        body = msgspec.json.encode({"model": "m", "messages": MESSAGES, "max_tokens": 5})
        replay = Replay(
            id="req_1", purpose=Purpose.JUDGE, wire="openai.chat", body=body, tenant_id="t", sensitivity=tier,
            allow_cloud=allowed,
        )  # fmt: skip
        assert isinstance(replays.prospect(replay).refusal, NotServable)
        with pytest.raises(NotServable):
            await replays.run(replay)


async def test_consent_that_is_withdrawn_while_a_judges_question_waits_holds_for_it() -> None:
    sky = Backend(name="sky", locality=Locality.CLOUD, models={"m": "m"}, steps=(SAYING,))
    gateway = ManyBackends([sky], groups={}, fallbacks={}, default=Sensitivity.PUBLIC)
    replays = PipelineReplays(
        gateway.pipeline, gateway.pipeline._current, wires=WIRES, clock=gateway.clock, make_id=lambda: "req_1"
    )
    request = ChatRequest(model="m", messages=(Message(Role.USER, (Text("Judge."),)),))
    allowed = ChatReplay(
        request=request, purpose=Purpose.JUDGE, tenant_id="t", sensitivity="internal", allow_cloud=True
    )
    assert (await replays.chat(allowed)).backend == "sky"
    for by_now in (
        Terms(sensitivity="internal", allow_cloud=False),
        Terms(sensitivity="confidential", allow_cloud=True),
    ):
        withdrawn = msgspec.structs.replace(allowed, terms=lambda by_now=by_now: by_now)
        with pytest.raises(NotServable):
            await replays.chat(withdrawn)


async def test_a_judges_question_waits_for_its_turn() -> None:
    stand = Stand(Step(events=saying("real work"), pause=0.02), SAYING)
    caller = asyncio.ensure_future(stand.gateway.ask())
    await stand.gateway.until_busy()
    replayed = await stand.replays.chat(stand.chat(), on_record=stand.records.append)
    assert replayed.text == "it is so"
    assert stand.records[-1].purpose == "judge"
    assert b"real work" in await caller


async def test_a_judges_question_that_is_turned_out_is_put_again() -> None:
    stand = Stand(SLOW, Step(events=saying("real work")), SAYING)
    asked = asyncio.ensure_future(stand.replays.chat(stand.chat(), on_record=stand.records.append))
    await stand.gateway.until_busy()
    await stand.gateway.ask()
    assert (await asked).text == "it is so"
    assert [record.outcome for record in stand.records] == [Outcome.CANCELLED, Outcome.OK]


async def test_the_tier_of_the_source_is_the_floor() -> None:
    stand = Stand()
    (record,) = [(await stand.begin(sensitivity="confidential")).record]
    assert record.sensitivity == Sensitivity.CONFIDENTIAL.label


async def test_a_shadow_has_no_model_loaded_where_another_was_in_use_just_now() -> None:
    stand = Stand()
    await stand.gateway.ask()
    stand.gateway.live.resident = frozenset({"another"})
    assert not stand.replays.prospect(stand.replay()).is_idle
    assert stand.replays.prospect(stand.replay(purpose=Purpose.JUDGE)).is_idle  # somebody has asked for it
    stand.gateway.clock.now += 30
    assert stand.replays.prospect(stand.replay()).is_idle
    await stand.gateway.ask()
    stand.gateway.live.resident = frozenset({MODEL})
    assert stand.replays.prospect(stand.replay()).is_idle
