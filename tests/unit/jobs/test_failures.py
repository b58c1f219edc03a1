"""What follows a failed attempt: the static rules, and a triage that may choose among the same steps."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from junto.core.completion import Completion
from junto.core.errors import (
    AllBackendsDown,
    BudgetExceeded,
    DeadlinePassed,
    JuntoError,
    Misconfigured,
    NotServable,
    Overloaded,
    RateLimited,
    UpstreamFailed,
    UpstreamRejected,
)
from junto.dialects import openai
from junto.jobs.failures import MOST_ATTEMPTS, Decision, GiveUp, RetryLater, Static, static, usual
from junto.jobs.triage import Triage, decision_in, facts_of, question
from junto.providers.fake import Fake, Step, saying
from tests.unit.gateway.one_backend import MODEL, OneBackend, StillClock
from tests.unit.jobs.claims import a_claim

pytestmark = pytest.mark.anyio
SERVER = ["cloud/m: server"]


@pytest.mark.parametrize(
    "error",
    [
        Overloaded("x", reasons=SERVER),
        AllBackendsDown("x", reasons=SERVER),
        RateLimited("x", reasons=SERVER),
        UpstreamFailed("x"),
        JuntoError("x"),
    ],
)
def test_what_may_pass_is_tried_again_as_often_as_the_job_allows(error: JuntoError) -> None:
    assert isinstance(static(error, attempt=1, max_attempts=3, jitter=0.0), RetryLater)
    assert isinstance(static(error, attempt=3, max_attempts=3, jitter=0.0), GiveUp)


@pytest.mark.parametrize(
    "error",
    [UpstreamRejected("x", status=400), NotServable("x"), BudgetExceeded("x"), DeadlinePassed("x"), Misconfigured("x")],
)
def test_what_will_not_pass_fails_at_once_with_its_own_words(error: JuntoError) -> None:
    given_up = static(error, attempt=1, max_attempts=3, jitter=0.0)
    assert given_up == GiveUp(error_code=error.code, error_message="x")


@pytest.mark.parametrize(
    "reasons",
    [
        ["desk/m: connect", "cloud/m: throttled"],
        ["desk/m: backend_up: the backend does not answer its heartbeat"],
        ["desk/m: breaker: open for another 3.0 s"],
        [],
    ],
)
def test_where_no_model_was_reached_the_attempt_does_not_count(reasons: list[str]) -> None:
    step = static(AllBackendsDown("x", reasons=reasons), attempt=9, max_attempts=3, jitter=0.0)
    assert isinstance(step, RetryLater)
    assert not step.counts
    last = static(AllBackendsDown("x", reasons=reasons), attempt=MOST_ATTEMPTS, max_attempts=3, jitter=0.0)
    assert isinstance(last, GiveUp)


@pytest.mark.parametrize("wrong", [Misconfigured("x", reasons=["a/m: credentials"]), NotServable("x")])
def test_what_only_an_operator_can_mend_leaves_the_jobs_other_model_and_when_that_is_no_better_nothing(
    wrong: JuntoError,
) -> None:
    """As does a model that may not see the job: a canary in the cloud is no reason to refuse what the preferred model may see."""
    meant = a_claim(model="fast", fallback="quality")
    assert usual(meant, wrong, 0.0) == RetryLater(delay_ms=0, model="quality")
    other = a_claim(model="fast", fallback="quality", runs_under="quality", attempt=2)
    assert usual(other, wrong, 0.0) == RetryLater(delay_ms=1_000, model="fast")
    hopeless = msgspec.structs.replace(other, job=msgspec.structs.replace(other.job, error_code=wrong.code))
    assert usual(hopeless, wrong, 0.0) == GiveUp(error_code=wrong.code, error_message="x")
    last = a_claim(model="fast", fallback="quality", attempt=3)
    assert isinstance(usual(last, wrong, 0.0), GiveUp)
    assert isinstance(usual(a_claim(), wrong, 0.0), GiveUp)


@pytest.mark.parametrize("wrong", [Misconfigured("x"), NotServable("x")])
async def test_a_triage_is_not_asked_about_what_only_an_operator_can_mend(wrong: JuntoError) -> None:
    handling, store, provider = triage('{"decision": "retry"}')
    claim = a_claim(model="fast", fallback="quality")
    assert await handling.after(claim, wrong) == RetryLater(delay_ms=0, model="quality")
    assert store.decisions == []
    assert not provider.replies


def test_the_routes_fallback_takes_turns_with_the_model_that_was_meant() -> None:
    down = AllBackendsDown("x", reasons=SERVER)
    first = usual(a_claim(model="fast", fallback="quality"), down, 0.0)
    assert first == RetryLater(delay_ms=0, model="quality")
    second = usual(a_claim(model="fast", fallback="quality", runs_under="quality", attempt=2), down, 0.0)
    assert isinstance(second, RetryLater)
    assert second.model == "fast"
    assert second.delay_ms > 0


class Store:
    """Where decisions are written down."""

    def __init__(self) -> None:
        self.decisions: list[Any] = []

    async def record_triage(self, decision: Any) -> None:
        self.decisions.append(decision)


def triage(*answers: str, **step: Any) -> tuple[Triage, Store, Fake]:
    provider = Fake("desk", models=(MODEL,), script=[Step(events=saying(answer), **step) for answer in answers])
    store = Store()
    house = OneBackend(provider)
    made = Triage(
        house.pipeline,
        store,  # type: ignore[arg-type]
        clock=StillClock(),
        make_id=lambda kind: f"{kind}_1",
        jitter=lambda: 0.0,
        model=MODEL,
        seconds=0.2,
    )
    return made, store, provider


DOWN = AllBackendsDown("The secret word is swordfish.", reasons=SERVER)


@pytest.mark.parametrize(
    ("decision", "step"),
    [
        ("retry", RetryLater(delay_ms=500)),
        ("swap", RetryLater(delay_ms=0, model="fast")),
        ("fall_back", RetryLater(delay_ms=0, model="quality")),
        ("return_503", GiveUp(error_code="all_backends_down", error_message="All providers unavailable")),
    ],
)
async def test_a_decision_of_the_schema_is_followed_and_written_down(decision: str, step: object) -> None:
    handling, store, _ = triage(json.dumps({"decision": decision}))
    assert await handling.after(a_claim(), DOWN) == step
    assert [each.decision for each in store.decisions] == [decision]


async def test_an_escalation_fails_the_job_and_says_so() -> None:
    handling, _, _ = triage('{"decision": "escalate"}')
    step = await handling.after(a_claim(), DOWN)
    assert isinstance(step, GiveUp)
    assert step.error_message.endswith("The operator was told.")


@pytest.mark.parametrize(
    "answer", ["retry", '{"decision": "panic"}', '{"decision": "retry", "why": "x"}', "{}", "[]", ""]
)
async def test_anything_else_means_the_static_rules(answer: str) -> None:
    handling, store, _ = triage(answer)
    assert await handling.after(a_claim(), DOWN) == await Static(lambda: 0.0).after(a_claim(), DOWN)
    assert store.decisions == []


async def test_an_answer_that_is_late_means_the_static_rules() -> None:
    handling, store, _ = triage('{"decision": "escalate"}', pause=5.0)
    assert isinstance(await handling.after(a_claim(), DOWN), RetryLater)
    assert store.decisions == []


async def test_where_there_is_nothing_to_choose_nobody_is_asked() -> None:
    handling, _, provider = triage('{"decision": "retry"}')
    assert isinstance(await handling.after(a_claim(), NotServable("x")), GiveUp)
    assert isinstance(await handling.after(a_claim(attempt=3), DOWN), GiveUp)
    assert not provider.calls


async def test_a_triage_learns_metadata_and_no_word_of_the_callers() -> None:
    handling, store, provider = triage('{"decision": "retry"}')
    claim = a_claim(prompt="My password is hunter2.", task_type="about-hunter2", metadata='{"who":"hunter2"}')
    await handling.after(claim, DOWN)
    asked = provider.calls[0].body
    assert b"hunter2" not in asked
    assert b"swordfish" not in asked
    assert b"cloud/m: server" in asked
    assert "hunter2" not in store.decisions[0].facts


def test_the_question_demands_the_schema() -> None:
    asked = msgspec.json.decode(question("fast", facts_of(a_claim(), DOWN)))
    schema = asked["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["decision"]["enum"] == [decision.value for decision in Decision]
    assert openai.CHAT.parse_request(msgspec.json.encode(asked)) is not None


def test_a_decision_is_read_from_its_text_alone() -> None:
    assert decision_in(' {"decision": "swap"}\n') is Decision.SWAP
    assert decision_in("\ud800") is None
    assert isinstance(openai.CHAT.parse_response(b'{"choices":[{"message":{"content":"x"}}]}'), Completion)
