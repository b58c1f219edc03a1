"""What the caller is told: by table, and never an upstream's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.errors import (
    AllBackendsDown,
    DeadlinePassed,
    FailureKind,
    Forbidden,
    InvalidRequest,
    JuntoError,
    Misconfigured,
    NotServable,
    Overloaded,
    RateLimited,
    Unsupported,
    UpstreamFailure,
    UpstreamRejected,
)
from junto.core.money import Price
from junto.core.sensitivity import Sensitivity
from junto.routing.facts import BackendLive, DeploymentFacts, Dropped, Live, Plan, Stage, Traits
from junto.routing.plan import plan
from junto.routing.refusals import error_for, error_for_empty, exhausts
from tests.unit.routing.facts import NOW, OPEN, POLICY, deployment, examples, requests, stage, stages, traits

SECRET = "upstream says: user@example.org"


def error_after(*kinds: FailureKind, status: int | None = None, retry_after: float | None = None) -> JuntoError:
    failures = [(deployment(), UpstreamFailure(kind, SECRET, status=status, retry_after=retry_after)) for kind in kinds]
    return error_for(failures, now=NOW)


UNABLE = UpstreamFailure(FailureKind.UNSUPPORTED, refusal=Unsupported("It has no words for that."))
REMOTE = UpstreamFailure(FailureKind.NOT_LOCAL, refusal=NotServable("Another machine answers."))
AWAY = UpstreamFailure(FailureKind.CONNECT)
TOO_BUSY = UpstreamFailure(FailureKind.BUSY)
REFUSED = UpstreamFailure(FailureKind.REJECTED, status=422)


@pytest.mark.parametrize(
    ("failures", "error"),
    [
        ([UNABLE], Unsupported),
        ([REMOTE], NotServable),
        ([UNABLE, REMOTE], NotServable),
        ([REMOTE, UNABLE], NotServable),
        ([UNABLE, AWAY], AllBackendsDown),
        ([TOO_BUSY, REMOTE], Overloaded),
        ([UNABLE, REFUSED], UpstreamRejected),
    ],
)
def test_a_refusal_is_told_when_nobody_took_the_request_and_else_what_became_of_it(
    failures: list[UpstreamFailure], error: type[JuntoError]
) -> None:
    raised = error_for([(deployment(), failure) for failure in failures], now=NOW)
    assert type(raised) is error


@pytest.mark.parametrize(
    ("kinds", "error", "status"),
    [
        ([FailureKind.CONNECT], AllBackendsDown, 503),
        ([FailureKind.SERVER, FailureKind.CREDENTIALS], AllBackendsDown, 503),
        ([FailureKind.THROTTLED, FailureKind.THROTTLED], RateLimited, 429),
        ([FailureKind.THROTTLED, FailureKind.SERVER], AllBackendsDown, 503),
        ([FailureKind.BUSY, FailureKind.QUEUE_FULL], Overloaded, 503),
        ([FailureKind.CONTEXT_LENGTH], UpstreamRejected, 400),
        ([FailureKind.CONTEXT_LENGTH, FailureKind.CONNECT], AllBackendsDown, 503),
        ([FailureKind.CONNECT, FailureKind.REJECTED], UpstreamRejected, 400),
        ([FailureKind.REJECTED, FailureKind.CONNECT], AllBackendsDown, 503),
        ([], AllBackendsDown, 503),
    ],
)
def test_the_failures_of_a_plan_become_one_error(kinds: list[FailureKind], error: type, status: int) -> None:
    raised = error_after(*kinds)
    assert type(raised) is error
    assert raised.status == status
    assert list(raised.reasons) == [f"desk/llama: {kind}" for kind in kinds]


@pytest.mark.parametrize(
    ("upstream", "told"),
    [(None, 400), (400, 400), (401, 400), (413, 413), (415, 415), (422, 422), (451, 451), (418, 400)],
)
def test_a_refused_request_keeps_the_upstream_s_status_where_it_means_the_request(
    upstream: int | None, told: int
) -> None:
    assert error_after(FailureKind.REJECTED, status=upstream).status == told


CREDENTIALS, MISSING, SERVER = FailureKind.CREDENTIALS, FailureKind.MODEL_MISSING, FailureKind.SERVER


@pytest.mark.parametrize(
    ("kinds", "exhausted", "error"),
    [
        ([CREDENTIALS], True, Misconfigured),
        ([CREDENTIALS, MISSING], True, Misconfigured),
        ([CREDENTIALS, FailureKind.NOT_LOCAL], True, Misconfigured),
        ([CREDENTIALS, MISSING], False, AllBackendsDown),
        ([CREDENTIALS, SERVER], True, AllBackendsDown),
    ],
)
def test_what_only_an_operator_can_mend_is_said_so_when_there_is_nobody_else(
    kinds: list[FailureKind],
    exhausted: bool,  # noqa: FBT001
    error: type,
) -> None:
    failures = [(deployment(), UpstreamFailure(kind, SECRET)) for kind in kinds]
    raised = error_for(failures, now=NOW, exhausted=exhausted)
    assert type(raised) is error
    assert SECRET not in raised.message


def test_what_is_to_be_mended_is_named_once_by_backend() -> None:
    rack, desk = deployment("rack/gpt"), deployment("desk/llama")
    kinds = [(rack, CREDENTIALS), (desk, MISSING), (rack, CREDENTIALS)]
    raised = error_for([(each, UpstreamFailure(kind)) for each, kind in kinds], now=NOW, exhausted=True)
    assert raised.message == (
        "Nothing can answer this until an operator mends it:"
        " rack refuses Junto's key or account; desk has no model 'llama'."
    )
    assert raised.retry_after is None


def test_a_plan_is_exhausted_when_nobody_is_left_who_may_come_back() -> None:
    away = deployment("away/m", backend_live=BackendLive(up=False))
    locked = deployment("locked/m", backend_live=BackendLive(up=False, locked_out=True))
    first, second = deployment("a/m"), deployment("b/m")

    def planned(*candidates: DeploymentFacts) -> Plan:
        return plan(traits(), [stage(*candidates)], POLICY, now=NOW, seed=0)

    assert not exhausts(planned(first, second), 0)
    assert exhausts(planned(first, second), 1)
    assert not exhausts(planned(first, away), 0)
    assert exhausts(planned(first, locked), 0)
    assert exhausts(planned(first, deployment("off/m", enabled=False)), 0)


def test_an_account_without_money_is_not_the_caller_s_fault() -> None:
    assert type(error_after(FailureKind.REJECTED, status=402)) is AllBackendsDown


def test_a_deadline_that_ended_the_attempts_is_said_so() -> None:
    failed = [(deployment(), UpstreamFailure(FailureKind.CONNECT_TIMEOUT))]
    assert type(error_for(failed, now=NOW, expired=True)) is DeadlinePassed


def test_retry_after_is_the_soonest_that_is_known_within_bounds() -> None:
    assert error_after(FailureKind.CONNECT).retry_after == 5.0
    assert error_after(FailureKind.THROTTLED, retry_after=9.0).retry_after == 9.0
    assert error_after(FailureKind.THROTTLED, retry_after=0.0).retry_after == 1.0
    assert error_after(FailureKind.THROTTLED, retry_after=86400.0).retry_after == 600.0
    opened = deployment(live=Live(breaker=OPEN))
    assert error_for([(opened, UpstreamFailure(FailureKind.SERVER))], now=NOW).retry_after == 20.0


@examples(60)
@given(
    failures=st.lists(
        st.tuples(st.sampled_from(FailureKind), st.none() | st.integers(100, 599), st.none() | st.floats(0, 1e9)),
        max_size=5,
    ),
    expired=st.booleans(),
)
def test_no_upstream_text_is_ever_in_an_error(
    failures: list[tuple[FailureKind, int | None, float | None]],
    expired: bool,  # noqa: FBT001
) -> None:
    given_failures = [
        (deployment(), UpstreamFailure(kind, SECRET, status=status, retry_after=wait))
        for kind, status, wait in failures
    ]
    raised = error_for(given_failures, now=NOW, expired=expired)
    assert 400 <= raised.status <= 599
    assert SECRET not in " ".join((raised.message, *raised.reasons))


def error_without_candidates(request: Traits, *candidates: DeploymentFacts) -> JuntoError:
    empty = plan(request, [stage(*candidates)], POLICY, now=NOW, seed=0)
    assert empty.candidates == ()
    return error_for_empty(empty, request, "group", now=NOW)


SMALL = deployment("small/m", context_length=10)
BLIND = deployment("blind/m", capabilities=Capability.CHAT)
CLOUD = deployment("claude/m", cloud=True)


@pytest.mark.parametrize(
    ("request_", "candidates", "error", "message"),
    [
        (
            traits(sensitivity=Sensitivity.CONFIDENTIAL, needs=Capability.VISION),
            (CLOUD, BLIND),
            NotServable,
            "No deployment of 'group' may see confidential content.",
        ),
        (
            traits(allowed_models=frozenset({"x"})),
            (SMALL, BLIND),
            Forbidden,
            "This key may not use the model 'group'.",
        ),
        (
            traits(operation=Operation.EMBED),
            (deployment(operations=frozenset({Operation.CHAT})), deployment("b/m", enabled=False)),
            Unsupported,
            "The model 'group' does not do embeddings.",
        ),
        (
            traits(needs=Capability.TOOLS | Capability.VISION),
            (BLIND, deployment("b/m", capabilities=Capability.TOOLS)),
            InvalidRequest,
            "The model 'group' does not do: vision.",
        ),
        (
            traits(prompt_tokens=20, max_tokens=5, needs=Capability.TOOLS),
            (SMALL, BLIND),
            InvalidRequest,
            "The request needs about 25 tokens; 'group' holds 10 at most.",
        ),
        (
            traits(max_price=1),
            (deployment(price=Price(output=2)),),
            Forbidden,
            "Every deployment of 'group' is over the price cap.",
        ),
        (traits(), (deployment(enabled=False),), AllBackendsDown, "All providers unavailable"),
        (traits(), (), AllBackendsDown, "All providers unavailable"),
    ],
)
def test_an_empty_plan_says_what_is_in_the_way(
    request_: Traits, candidates: tuple[DeploymentFacts, ...], error: type, message: str
) -> None:
    raised = error_without_candidates(request_, *candidates)
    assert type(raised) is error
    assert raised.message == message
    assert len(raised.reasons) == len(candidates)


def test_a_reason_names_the_deployment_the_filter_and_the_detail() -> None:
    raised = error_without_candidates(traits(sensitivity=Sensitivity.CONFIDENTIAL), CLOUD)
    assert raised.reasons == ("claude/m: sensitivity: confidential content stays on local deployments",)


def test_candidates_out_of_service_tell_when_the_first_is_back() -> None:
    down = deployment("down/m", backend_live=BackendLive(up=False))
    opened = deployment("open/m", live=Live(breaker=OPEN))
    dropped = tuple(
        Dropped(each, reason.reason)
        for each in (down, opened)
        for reason in plan(traits(), [stage(each, deployment("ok/m"))], POLICY, now=NOW, seed=0).dropped
    )
    raised = error_for_empty(Plan(candidates=(), dropped=dropped), traits(), "group", now=NOW)
    assert type(raised) is AllBackendsDown
    assert raised.retry_after == 20.0


@examples(50)
@given(request=requests, given_stages=stages)
def test_every_empty_plan_has_an_error_and_the_floor_is_named_whenever_it_dropped_something(
    request: Traits, given_stages: list[Stage]
) -> None:
    decided = plan(request, given_stages, POLICY, now=NOW, seed=0)
    empty = Plan(candidates=(), dropped=decided.dropped)
    raised = error_for_empty(empty, request, "group", now=NOW)
    forbidden = any(each.reason.rule == "sensitivity" for each in decided.dropped)
    assert isinstance(raised, NotServable) is forbidden
