"""A candidate that does not take a request is passed over: the next one that may have it does, and only it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from junto.catalog.model import GroupSpec, MemberSpec
from junto.core.errors import (
    AllBackendsDown,
    FailureKind,
    JuntoError,
    NotServable,
    Unsupported,
    UpstreamFailure,
)
from junto.core.exchange import Outcome
from junto.core.sensitivity import Locality, Sensitivity
from junto.core.usage import Usage
from junto.dialects import openai
from junto.gateway.exchange import Arrival
from junto.identity.principal import Principal
from junto.providers.fake import Fake, FakeReply, Step, saying
from junto.routing.facts import Strategy
from tests.unit.gateway.many_backends import Backend, ManyBackends
from tests.unit.gateway.one_backend import OneBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.core.events import Event
    from junto.ports.provider import Call, Clearance, Reply

pytestmark = pytest.mark.anyio

REMOTE = Step(failure=NotServable("Another machine answers for it.", reasons=["a/m: remote"]))
UNABLE = Step(failure=Unsupported("The backend does not do that."))
AWAY = Step(failure=UpstreamFailure(FailureKind.SERVER, "away"))
FINE = Step(events=saying("Hello"))
MANY = 6  # more than a plan may have attempts


def gateway_of(steps: Sequence[Step], *, elsewhere: Step | None = None) -> ManyBackends:
    """One group of local backends in that order, each of which does as its step says; `elsewhere` is a cloud behind them."""
    backends = [
        Backend(name=f"b{place}", locality=Locality.LOCAL, models={"m": "m"}, steps=(step,), priority=place)
        for place, step in enumerate(steps)
    ]
    if elsewhere is not None:
        backends.append(
            Backend(name="cloud", locality=Locality.CLOUD, models={"m": "m"}, steps=(elsewhere,), priority=99)
        )
    members = tuple(MemberSpec(f"{backend.name}/m", 1) for backend in backends)
    groups = {"all": GroupSpec(members=members, strategy=Strategy.PRIORITY)}
    return ManyBackends(backends, groups=groups, fallbacks={}, default=Sensitivity.CONFIDENTIAL)


def arrival(**fields: Any) -> Arrival:
    asked = {"model": "all", "messages": [{"role": "user", "content": "Hello"}], **fields}
    return Arrival(id="req_1", wire=openai.CHAT, body=msgspec.json.encode(asked), principal=Principal())


async def answer_of(gateway: ManyBackends) -> str:
    """Who answered."""
    answer = await gateway.pipeline.open(arrival())
    while await answer.read():
        pass
    answer.close()
    assert answer.record is not None
    return answer.record.backend


@pytest.mark.parametrize(
    ("steps", "answers"),
    [
        ([REMOTE, FINE], "b1"),
        ([UNABLE, FINE], "b1"),
        ([UNABLE, REMOTE, AWAY, FINE], "b3"),
        ([*[REMOTE] * MANY, FINE], f"b{MANY}"),  # nothing was sent to any of them, so none was an attempt
    ],
)
async def test_the_next_candidate_answers_where_one_does_not_take_the_request(
    steps: Sequence[Step], answers: str
) -> None:
    gateway = gateway_of(steps)
    assert await answer_of(gateway) == answers
    assert gateway.held == 0


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([REMOTE], NotServable),
        ([UNABLE], Unsupported),
        ([UNABLE, REMOTE], NotServable),
        ([REMOTE, AWAY], AllBackendsDown),
    ],
)
async def test_what_is_told_when_there_is_no_next_one(steps: Sequence[Step], error: type[JuntoError]) -> None:
    gateway = gateway_of(steps)
    with pytest.raises(error):
        await gateway.pipeline.open(arrival())
    (record,) = gateway.shelf.records
    assert record.outcome is Outcome.ERROR
    assert len(record.attempts) == len(steps)
    assert gateway.held == 0


async def test_a_refused_attestation_never_leads_to_the_cloud() -> None:
    gateway = gateway_of([REMOTE, REMOTE], elsewhere=FINE)
    with pytest.raises(NotServable):
        await gateway.pipeline.open(arrival())
    assert not gateway.providers["cloud"].calls


async def test_who_passes_requests_over_is_not_thought_ill() -> None:
    gateway = gateway_of([UNABLE, FINE])
    for _ in range(10):
        assert await answer_of(gateway) == "b1"
    assert len(gateway.providers["b0"].let_in) == 10  # its breaker stayed closed


PRICE = "- {backend: desk, model: '*', from: 2025-01-01, input: 1, output: 10}"
LOST = UpstreamFailure(FailureKind.RESET, "broke off", usage=Usage(input=1_000, output=100))


async def test_what_a_failed_attempt_used_by_its_provider_s_report_is_charged_with_the_answer() -> None:
    second = Step(events=saying("Hello", usage=Usage(input=1_000, output=50)))
    gateway = OneBackend(Fake("desk", script=(Step(failure=LOST), second)), pricing=PRICE)
    await gateway.ask()
    (record,) = gateway.shelf.records
    assert (record.outcome, record.input_tokens, record.output_tokens) == (Outcome.OK, 2_000, 150)
    assert record.cost_nano == 2_000 * 1_000 + 150 * 10_000


async def test_and_without_an_answer_too() -> None:
    gateway = OneBackend(Fake("desk", script=(Step(failure=LOST),)), pricing=PRICE)
    with pytest.raises(AllBackendsDown):
        await gateway.ask()
    (record,) = gateway.shelf.records
    tries = len(record.attempts)
    assert tries > 1
    assert (record.outcome, record.backend) == (Outcome.ERROR, "desk")
    assert record.output_tokens == 100 * tries
    assert record.cost_nano == tries * (1_000 * 1_000 + 100 * 10_000)


async def test_a_failed_attempt_of_which_nothing_is_known_costs_nothing() -> None:
    gateway = OneBackend(Fake("desk", script=(AWAY,)), pricing=PRICE)
    with pytest.raises(AllBackendsDown):
        await gateway.ask()
    (record,) = gateway.shelf.records
    assert (record.cost_nano, record.output_tokens, record.backend) == (0, 0, "")


class _Breaking(FakeReply):
    """A reply that a defect ends in the middle."""

    async def events(self) -> Sequence[Event]:
        if self.position == 2:
            raise RuntimeError("a defect")
        return await super().events()


class _Defective(Fake):
    async def open(self, clearance: Clearance, call: Call) -> Reply:
        reply = await super().open(clearance, call)
        assert isinstance(reply, FakeReply)
        return _Breaking(reply.step)


async def test_a_defect_in_the_middle_of_a_stream_is_told_in_the_caller_s_dialect() -> None:
    gateway = OneBackend(_Defective("desk", script=(Step(events=saying("one two three")),)), slots=1)
    said = await gateway.ask(stream=True)
    assert b"one" in said
    assert b"internal_error" in said
    assert b"a defect" not in said
    (record,) = gateway.shelf.records
    assert (record.outcome, record.error_code) == (Outcome.ERROR, "internal_error")
    assert [attempt.failure for attempt in record.attempts] == ["cancelled"]  # it says nothing about the backend
    assert gateway.busy == 0
