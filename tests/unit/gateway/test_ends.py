"""Ways in which answers come to an end, or do not, and what is written down of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Never

import pytest

from junto.core.errors import DeadlinePassed, FailureKind, Overloaded, Unsupported, UpstreamFailure
from junto.core.events import Event, Failure, Start, TextDelta
from junto.core.exchange import Outcome
from junto.core.usage import Usage
from junto.dialects import openai
from junto.dialects.wire import Rendering
from junto.gateway import passage
from junto.gateway.passage import RelayedStream, RelayedWhole, TranslatedStream
from junto.providers.fake import Fake, FakeReply, Step, saying
from tests.unit.gateway.one_backend import MODEL, OneBackend

if TYPE_CHECKING:
    from junto.ports.provider import Call, Clearance, Reply

pytestmark = pytest.mark.anyio

RENDERING = Rendering(id="req_1", model=MODEL, created=0)
GPU_PRICE = "- {backend: desk, model: '*', from: 2025-01-01, gpu_second: 1.0}"


class Bytes(FakeReply):
    """A relayed reply that gives the same piece for ever; b"" is its end."""

    def __init__(self, piece: bytes) -> None:
        super().__init__(Step())
        self._piece = piece

    async def read(self) -> bytes:
        return self._piece


class AtOnce(FakeReply):
    """A translated reply that gives all of its events in one go."""

    async def events(self) -> tuple[Event, ...]:
        return self.step.events


class Ticking(Fake):
    """A backend that takes two seconds of its gateway's clock before each answer."""

    gateway: OneBackend

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        self.gateway.clock.now += 2
        return await super().open(clearance, call)


class Defective(Fake):
    """A backend with a defect."""

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        raise RuntimeError("a defect")


def stream_of(*events: Event) -> TranslatedStream:
    return TranslatedStream(AtOnce(Step(events=events)), openai.CHAT.event_renderer(RENDERING))


async def test_a_relayed_whole_answer_without_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage, "WHOLE_LIMIT", 1000)
    walk = RelayedWhole(Bytes(b" " * 300), openai.CHAT.whole_tap(), openai.CHAT, RENDERING)
    with pytest.raises(UpstreamFailure) as caught:
        await walk.advance()
    assert caught.value.kind is FailureKind.TOO_LARGE


async def test_a_relayed_stream_that_ends_without_its_end_fails_and_does_not_wait_for_ever() -> None:
    wants_usage = True
    walk = RelayedStream(Bytes(b""), openai.CHAT.stream_tap(wants_usage), openai.CHAT, RENDERING)
    with pytest.raises(UpstreamFailure):
        await walk.advance()


async def test_events_that_stop_without_an_end_break_the_answer_off() -> None:
    gateway = OneBackend(Fake("desk", script=(Step(events=(Start("m"), TextDelta("Hel"))),)))
    answered = await gateway.ask(stream=True)
    assert b"Hel" in answered
    assert b"upstream_failed" in answered
    assert gateway.shelf.records[0].outcome is Outcome.ERROR
    assert gateway.busy == 0


async def test_what_came_in_one_read_with_a_failure_still_goes_to_the_caller() -> None:
    walk = stream_of(Start("m"), TextDelta("almost"), Failure(FailureKind.SERVER, usage=Usage(input=3, output=9)))
    assert b"almost" in await walk.advance()
    with pytest.raises(UpstreamFailure):
        await walk.advance()
    assert walk.usage == Usage(input=3, output=9)


async def test_a_failure_right_behind_the_start_comes_before_the_commit() -> None:
    with pytest.raises(UpstreamFailure):
        await stream_of(Start("m"), Failure(FailureKind.SERVER)).advance()


async def test_gpu_seconds_are_charged_for_the_attempt_and_not_for_the_wait_before_it() -> None:
    backend = Ticking("desk")
    gateway = backend.gateway = OneBackend(backend, slots=1, pricing=GPU_PRICE)
    assert gateway.pool is not None
    first = await gateway.pipeline.open(gateway.arrival(stream=True))
    first_alone = gateway.busy
    waiting = asyncio.create_task(gateway.ask())
    await gateway.until_busy(more_than=first_alone)
    gateway.clock.now += 3600
    while await first.read():
        pass
    first.close()
    await waiting
    record = gateway.shelf.records[-1]
    assert record.duration_ms == 3_602_000
    assert record.cost_nano == 2_000_000_000


async def test_a_whole_answer_teaches_a_believable_speed() -> None:
    backend = Ticking("desk", script=(Step(events=saying("Hi", usage=Usage(input=1, output=100))),))
    gateway = backend.gateway = OneBackend(backend)
    await gateway.ask()
    live = gateway.deployment.live
    assert live.rate == pytest.approx(50.0)
    assert live.ttft == 0


async def test_a_defect_is_recorded_as_an_error_and_not_as_a_caller_who_left() -> None:
    gateway = OneBackend(Defective("desk"))
    with pytest.raises(RuntimeError):
        await gateway.ask()
    assert [(record.outcome, record.status) for record in gateway.shelf.records] == [(Outcome.ERROR, 500)]
    assert gateway.busy == 0


async def test_a_caller_who_leaves_is_cancelled_even_when_that_cannot_be_written_down() -> None:
    gateway = OneBackend(Fake("desk", script=(Step(events=saying("Hi"), pause=60),)))
    asking = asyncio.create_task(gateway.ask(stream=True))
    await gateway.until_busy()
    gateway.shelf.broken = True
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert gateway.busy == 0


async def test_letting_go_of_an_answer_that_cannot_be_written_down_is_quiet() -> None:
    gateway = OneBackend(Fake("desk"))
    answer = await gateway.pipeline.open(gateway.arrival(stream=True))
    gateway.shelf.broken = True
    answer.close()
    assert gateway.busy == 0


async def test_a_queue_longer_than_the_deadline_says_that_all_are_busy() -> None:
    gateway = OneBackend(Fake("desk"), slots=1)
    gateway.deployment.live.ttft = 100.0
    first = await gateway.pipeline.open(gateway.arrival(stream=True))
    with pytest.raises(Overloaded) as caught:
        await gateway.pipeline.open(gateway.arrival(timeout=1.0))
    assert caught.value.retry_after
    first.close()
    assert gateway.busy == 0


async def test_a_task_type_is_kept_short() -> None:
    gateway = OneBackend(Fake("desk"))
    await gateway.ask(metadata={"task_type": "x" * 5000})
    assert gateway.shelf.records[0].task_type == "x" * 200


async def test_a_passage_that_cannot_be_made_leaves_no_reply_open() -> None:
    backend = Fake("desk")
    gateway = OneBackend(backend)
    arrival = gateway.arrival(stream=True)
    arrival.wire = replace(arrival.wire, event_renderer=_no_renderer)
    with pytest.raises(Unsupported):
        await gateway.pipeline.open(arrival)
    assert [reply.closed for reply in backend.replies] == [True]
    assert gateway.busy == 0


def _no_renderer(_: Rendering) -> Never:
    raise Unsupported("This wire does not stream.")


class Waiting(Fake):
    """A backend that has the request, or not yet, and does not begin to answer."""

    was_sent = True

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        try:
            await asyncio.sleep(60)
        finally:
            call.was_sent = self.was_sent
        return await super().open(clearance, call)


class Connecting(Waiting):
    was_sent = False


PRICE = "- {backend: desk, model: '*', from: 2025-01-01, input: 1000, output: 1000}"


async def left(gateway: OneBackend, *, stream: bool) -> None:
    """Ask, and hang up before anything was answered."""
    asking = asyncio.create_task(gateway.ask(stream=stream))
    await gateway.until_busy()
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert gateway.busy == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("made", [Waiting("desk"), Fake("desk", script=(Step(events=saying("Hi"), pause=60),))])
async def test_a_caller_who_leaves_before_the_answer_pays_for_the_prompt_that_was_sent(
    made: Fake, *, stream: bool
) -> None:
    gateway = OneBackend(made, pricing=PRICE)
    await left(gateway, stream=stream)
    (record,) = gateway.shelf.records
    assert (record.outcome, record.status, record.backend) == (Outcome.CANCELLED, 499, "desk")
    assert record.usage_estimated
    assert (record.input_tokens > 0, record.output_tokens) == (True, 0)
    assert record.cost_nano == record.input_tokens * 1_000_000


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_leaves_before_anything_was_sent_pays_nothing(*, stream: bool) -> None:
    gateway = OneBackend(Connecting("desk"), pricing=PRICE)
    await left(gateway, stream=stream)
    (record,) = gateway.shelf.records
    assert (record.outcome, record.cost_nano, record.input_tokens) == (Outcome.CANCELLED, 0, 0)


async def test_a_deadline_of_the_callers_own_costs_the_prompt() -> None:
    gateway = OneBackend(Waiting("desk"), pricing=PRICE)
    with pytest.raises(DeadlinePassed):
        await gateway.pipeline.open(gateway.arrival(timeout=0.01))
    (record,) = gateway.shelf.records
    assert (record.status, record.error_code, record.usage_estimated) == (504, "deadline_passed", True)
    assert record.cost_nano == record.input_tokens * 1_000_000 > 0
