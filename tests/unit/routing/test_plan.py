"""The plan: order, doubles, the last resort, and the floor under all of it."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from junto.core.capability import Capability
from junto.core.errors import FailureKind, UpstreamFailure
from junto.core.sensitivity import Locality, Sensitivity
from junto.routing.facts import BackendLive, Breaker, BreakerState, Live, Policy, Stage, Strategy, Traits
from junto.routing.fallback import GiveUp, Retry, RetryBudget, next_step
from junto.routing.filters import HARD
from junto.routing.plan import plan
from tests.unit.routing.facts import (
    NOW,
    OPEN,
    POLICY,
    PROBED,
    deployment,
    examples,
    keys,
    requests,
    stage,
    stages,
    traits,
)


def open_until(moment: float) -> Live:
    return Live(breaker=Breaker(BreakerState.OPEN, 5, moment, 30))


def test_one_healthy_candidate_is_the_plan() -> None:
    only = stage(deployment())
    decided = plan(traits(), [only], POLICY, now=NOW, seed=0)
    assert decided.candidates is only.candidates
    assert decided.dropped == ()


def test_no_stage_or_no_candidate_is_an_empty_plan() -> None:
    for nothing in ([], [stage()]):
        decided = plan(traits(), nothing, POLICY, now=NOW, seed=0)
        assert (decided.candidates, decided.dropped, decided.last_resort) == ((), (), False)


def test_stages_stay_in_order_and_each_follows_its_own_strategy() -> None:
    first = stage(deployment("a/m", priority=9), deployment("b/m", priority=1), name="quality")
    second = stage(deployment("c/m", priority=0), name="fast")
    decided = plan(traits(), [first, second], POLICY, now=NOW, seed=0)
    assert keys(decided.candidates) == ["b/m", "a/m", "c/m"]
    assert decided.stage_names == ("quality", "quality", "fast")


def test_a_deployment_in_two_stages_is_tried_once_in_the_first_that_lets_it_pass() -> None:
    same = deployment("a/m")
    decided = plan(traits(), [stage(same), stage(same, deployment("b/m"), name="fast")], POLICY, now=NOW, seed=0)
    assert keys(decided.candidates) == ["a/m", "b/m"]
    allowed = traits(allowed_models=frozenset({"fast"}))
    decided = plan(allowed, [stage(same), stage(same, name="fast")], POLICY, now=NOW, seed=0)
    assert keys(decided.candidates) == ["a/m"]
    assert decided.stage_names == ("fast",)
    assert decided.dropped == ()


def test_the_dropped_are_listed_once_with_their_first_reason() -> None:
    able, blind = deployment("a/m"), deployment("b/m", capabilities=Capability.CHAT)
    decided = plan(traits(needs=Capability.VISION), [stage(able, blind), stage(blind)], POLICY, now=NOW, seed=0)
    assert keys(decided.candidates) == ["a/m"]
    assert [(each.deployment.key, each.reason.rule) for each in decided.dropped] == [("b/m", "capability")]


def test_one_that_is_out_of_service_is_passed_over_while_another_works() -> None:
    group = stage(deployment("a/m", live=Live(breaker=OPEN)), deployment("b/m", backend_live=BackendLive(up=False)))
    decided = plan(traits(), [group, stage(deployment("c/m"), name="fast")], POLICY, now=NOW, seed=0)
    assert keys(decided.candidates) == ["c/m"]
    assert [each.reason.rule for each in decided.dropped] == ["breaker", "backend_up"]
    assert not decided.last_resort


def test_when_all_are_out_of_service_the_one_that_is_back_soonest_is_the_last_resort() -> None:
    group = stage(
        deployment("down/m", backend_live=BackendLive(up=False)),
        deployment("late/m", live=open_until(NOW + 90)),
        deployment("soon/m", live=open_until(NOW + 3)),
    )
    decided = plan(traits(), [group], POLICY, now=NOW, seed=0)
    assert keys(decided.candidates) == ["soon/m"]
    assert decided.last_resort
    assert [each.deployment.key for each in decided.dropped] == ["down/m", "late/m"]


def test_a_single_deployment_is_never_refused_for_its_health() -> None:
    for live, up in product((Live(breaker=OPEN), Live(breaker=PROBED), Live()), (True, False)):
        sick = deployment(live=live, backend_live=BackendLive(up=up))
        decided = plan(traits(), [stage(sick)], POLICY, now=NOW, seed=0)
        assert decided.candidates == (sick,)


def test_the_last_resort_is_never_one_that_a_hard_filter_dropped() -> None:
    group = stage(deployment("cloud/m", cloud=True), deployment("desk/m", enabled=False))
    decided = plan(traits(sensitivity=Sensitivity.CONFIDENTIAL), [group], POLICY, now=NOW, seed=0)
    assert decided.candidates == ()
    assert [each.reason.rule for each in decided.dropped] == ["sensitivity", "enabled"]


def test_internal_content_goes_local_first_within_a_stage_but_stages_keep_their_order() -> None:
    mixed = stage(deployment("claude/m", cloud=True, priority=1), deployment("desk/m", priority=2), name="mixed")
    request = traits(sensitivity=Sensitivity.INTERNAL, allow_cloud_for_internal=True)
    assert keys(plan(request, [mixed], POLICY, now=NOW, seed=0).candidates) == ["desk/m", "claude/m"]
    cloud, local = stage(deployment("claude/m", cloud=True)), stage(deployment("desk/m"), name="fast")
    assert keys(plan(request, [cloud, local], POLICY, now=NOW, seed=0).candidates) == ["claude/m", "desk/m"]


def test_round_robin_shares_exactly_over_consecutive_seeds() -> None:
    group = stage(deployment("a/m", weight=3), deployment("b/m", weight=1), strategy=Strategy.ROUND_ROBIN)
    firsts = [plan(traits(), [group], POLICY, now=NOW, seed=seed).candidates[0].key for seed in range(8, 16)]
    assert firsts.count("a/m") == 6
    assert firsts.count("b/m") == 2


def may_see(request: Traits, locality: Locality) -> bool:
    """The table of routing.md, written down a second time and differently."""
    return (
        locality is Locality.LOCAL
        or {
            Sensitivity.PUBLIC: True,
            Sensitivity.INTERNAL: request.allow_cloud_for_internal,
            Sensitivity.CONFIDENTIAL: False,
        }[request.sensitivity]
    )


@examples(300)
@given(request=requests, given_stages=stages, seed=st.integers(0, 1000))
def test_no_plan_ever_holds_a_candidate_under_the_floor(request: Traits, given_stages: list[Stage], seed: int) -> None:
    decided = plan(request, given_stages, POLICY, now=NOW, seed=seed)
    assert all(may_see(request, each.locality) for each in decided.candidates)
    for each in decided.dropped:
        assert may_see(request, each.deployment.locality) or each.reason.rule == "sensitivity"
    offered = {each.key for given_stage in given_stages for each in given_stage.candidates}
    kept, dropped = keys(decided.candidates), keys(each.deployment for each in decided.dropped)
    assert sorted(kept + dropped) == sorted(offered)
    assert len(decided.stage_names) in (0, len(kept))


@examples(100)
@given(request=requests, given_stages=stages)
def test_a_plan_is_empty_only_where_a_hard_filter_drops_everything(request: Traits, given_stages: list[Stage]) -> None:
    decided = plan(request, given_stages, POLICY, now=NOW, seed=0)
    passing = any(
        all(check(each, request, given_stage.name, NOW) is None for check in HARD)
        for given_stage in given_stages
        for each in given_stage.candidates
    )
    assert bool(decided.candidates) is passing


@examples(150)
@given(
    request=requests,
    given_stages=stages,
    kinds=st.lists(st.sampled_from(FailureKind), min_size=12, max_size=12),
    most=st.integers(1, 8),
    jitter=st.floats(0, 0.99),
)
def test_no_sequence_of_failures_leads_out_of_the_plan_or_past_the_most_attempts(
    request: Traits, given_stages: list[Stage], kinds: list[FailureKind], most: int, jitter: float
) -> None:
    decided = plan(request, given_stages, POLICY, now=NOW, seed=0)
    position, tries_here, made = 0, 1, 0
    while position < len(decided.candidates):
        assert may_see(request, decided.candidates[position].locality)
        made += 1
        assert made <= most
        step = next_step(
            plan=decided,
            position=position,
            tries_here=tries_here,
            attempts_made=made,
            failure=UpstreamFailure(kinds[made % len(kinds)]),
            policy=Policy(max_attempts=most),
            budget=RetryBudget(in_flight=1),
            remaining=None,
            jitter=jitter,
        )
        if isinstance(step, GiveUp):
            break
        if isinstance(step, Retry):
            tries_here += 1
            assert tries_here <= 3
            continue
        position, tries_here = position + 1, 1
    else:
        assert not decided.candidates  # a walk ends by giving up, never by running past the plan
