"""Refusals before and in place of an answer: each is one error, one record, and nothing is held afterwards."""

from __future__ import annotations

import asyncio

import pytest

from junto.core.errors import (
    AllBackendsDown,
    DeadlinePassed,
    FailureKind,
    InvalidField,
    JuntoError,
    MalformedBody,
    Misconfigured,
    Overloaded,
    RateLimited,
    UnknownModel,
    UpstreamFailure,
    UpstreamRejected,
)
from junto.core.events import Failure, Start, TextDelta
from junto.core.exchange import Outcome
from junto.core.usage import Usage
from junto.dialects import openai
from junto.gateway.exchange import Arrival
from junto.identity.principal import Principal
from junto.providers.fake import Fake, Step, saying
from tests.unit.gateway.one_backend import MODEL, OneBackend

pytestmark = pytest.mark.anyio

HALF = (Start("fake"), TextDelta("half of "))


def failing(kind: FailureKind, status: int | None = None) -> OneBackend:
    return OneBackend(
        Fake("desk", script=[Step(failure=UpstreamFailure(kind, "its own words", status=status))]), slots=1
    )


async def test_without_room_to_record_nothing_is_asked() -> None:
    gateway = OneBackend(Fake("desk"))
    gateway.shelf.has_room = False
    with pytest.raises(Overloaded) as caught:
        await gateway.ask()
    assert caught.value.retry_after
    assert (gateway.busy, gateway.shelf.records) == (0, [])


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"{", MalformedBody), (b'{"model":5,"messages":[]}', InvalidField), (b"[]", MalformedBody)],
)
async def test_a_body_that_cannot_be_read_is_refused_before_anything_else(body: bytes, error: type[JuntoError]) -> None:
    gateway = OneBackend(Fake("desk"))
    with pytest.raises(error):
        await gateway.pipeline.open(Arrival(id="req_1", wire=openai.CHAT, body=body, principal=Principal()))
    assert gateway.busy == 0


async def test_an_unknown_model_is_recorded_and_lists_near_names() -> None:
    gateway = OneBackend(Fake("desk"))
    with pytest.raises(UnknownModel, match=MODEL):
        await gateway.ask(model="fake-modle")
    assert [record.error_code for record in gateway.shelf.records] == ["model_not_found"]


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        (FailureKind.CONNECT, None, AllBackendsDown),
        (FailureKind.RESET, None, AllBackendsDown),
        (FailureKind.PROTOCOL, None, AllBackendsDown),
        (FailureKind.SERVER, 500, AllBackendsDown),
        (FailureKind.THROTTLED, 429, RateLimited),
        (FailureKind.BUSY, 503, Overloaded),
        (FailureKind.QUEUE_FULL, None, Overloaded),
        (FailureKind.REJECTED, 400, UpstreamRejected),
        (FailureKind.REJECTED, 422, UpstreamRejected),
        (FailureKind.CONTEXT_LENGTH, 413, UpstreamRejected),
        (FailureKind.CREDENTIALS, 401, Misconfigured),
        (FailureKind.MODEL_MISSING, 404, Misconfigured),
    ],
)
async def test_each_kind_of_failure_is_one_error_in_junto_s_own_words(
    kind: FailureKind, status: int | None, error: type[JuntoError]
) -> None:
    gateway = failing(kind, status)
    with pytest.raises(error) as caught:
        await gateway.ask()
    assert "its own words" not in f"{caught.value.message} {caught.value.reasons}"
    (record,) = gateway.shelf.records
    assert (record.outcome, record.status) == (Outcome.ERROR, caught.value.status)
    assert {attempted.failure for attempted in record.attempts} == {kind.value}
    assert gateway.busy == 0


async def test_a_deadline_ends_an_attempt_that_has_not_begun_to_answer() -> None:
    gateway = OneBackend(Fake("desk", script=[Step(events=saying("late"), pause=30)]), slots=1)
    with pytest.raises(DeadlinePassed):
        await gateway.pipeline.open(gateway.arrival(timeout=0.01, stream=True))
    (record,) = gateway.shelf.records
    assert (record.outcome, record.status, record.error_code) == (Outcome.ERROR, 504, "deadline_passed")
    assert gateway.busy == 0


async def test_a_failure_before_the_first_byte_goes_on_and_one_after_it_is_told_in_the_stream() -> None:
    fake = Fake("desk", script=[Step(failure=UpstreamFailure(FailureKind.RESET)), Step(events=saying("well then"))])
    gateway = OneBackend(fake)
    assert b"well" in await gateway.ask(stream=True)
    assert [attempted.failure for attempted in gateway.shelf.records[0].attempts] == ["reset", ""]
    broken = OneBackend(Fake("desk", script=[Step(events=(*HALF, Failure(FailureKind.RESET, "its own words")))]))
    told = await broken.ask(stream=True)
    assert b"half of " in told
    assert b'"error"' in told
    assert b"its own words" not in told
    assert b"[DONE]" not in told
    (record,) = broken.shelf.records
    assert (record.outcome, record.error_code, record.status) == (Outcome.ERROR, "upstream_failed", 200)


async def test_an_answer_that_breaks_off_is_charged_for_what_was_streamed() -> None:
    price = "- {backend: desk, model: '*', from: 2025-01-01, input: 1.0, output: 1000.0}"
    gateway = OneBackend(Fake("desk", script=[Step(events=(*HALF, Failure(FailureKind.RESET)))]), pricing=price)
    await gateway.ask(stream=True)
    (record,) = gateway.shelf.records
    assert record.usage_estimated
    assert record.output_tokens == (len("half of ") + 3) // 4
    assert record.cost_nano > 0


async def test_what_the_upstream_counted_goes_before_an_estimate() -> None:
    gateway = OneBackend(Fake("desk", script=[Step(events=saying("so it is", usage=Usage(input=11, output=5)))]))
    await gateway.ask()
    (record,) = gateway.shelf.records
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (11, 5, False)


async def test_a_caller_who_leaves_in_any_turn_of_the_loop_leaves_nothing_behind() -> None:
    for after in range(1, 15):
        gateway = OneBackend(Fake("desk", script=[Step(events=saying("one two three four five"))]), slots=1)
        held = asyncio.create_task(gateway.ask(stream=True))
        asking = asyncio.create_task(gateway.ask(stream=True))
        for _ in range(after):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([held, asking])
        assert gateway.busy == 0
        assert len(gateway.shelf.records) == 2
