"""Each strategy, by example, and the fairness of round-robin by property."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.money import Price
from junto.core.sensitivity import Sensitivity
from junto.routing.facts import BackendLive, DeploymentFacts, Live, Policy, Strategy
from junto.routing.round_robin import turn
from junto.routing.scorers import ASSUMED_LOAD_SECONDS, detail, expected_cost, expected_wait, free_slots, ordered
from tests.unit.routing.facts import POLICY, deployment, deployments, examples, keys, requests, traits


def order_of(
    strategy: Strategy, *candidates: DeploymentFacts, seed: int = 0, policy: Policy = POLICY, **request: Any
) -> list[str]:
    return keys(ordered(strategy, candidates, traits(**request), policy, seed=seed))


def loaded(key: str, *resident: str, **fields: Any) -> DeploymentFacts:
    return deployment(key, backend_live=BackendLive(resident=frozenset(resident), slots=1), **fields)


def measured(key: str, ttft: float, rate: float, in_flight: int = 0) -> DeploymentFacts:
    return deployment(key, live=Live(ttft=ttft, rate=rate, in_flight=in_flight))


def test_smart_prefers_a_loaded_model_to_a_better_priority() -> None:
    cold, warm = loaded("cold/m", priority=1), loaded("warm/m", "m", priority=9)
    assert order_of(Strategy.SMART, cold, warm) == ["warm/m", "cold/m"]


def test_smart_does_not_weigh_residency_where_the_policy_says_so() -> None:
    cold, warm = loaded("cold/m", priority=1), loaded("warm/m", "m", priority=9)
    assert order_of(Strategy.SMART, cold, warm, policy=Policy(prefer_loaded=False)) == ["cold/m", "warm/m"]


def test_smart_prefers_an_idle_local_model_of_better_priority_to_the_cloud() -> None:
    assert order_of(Strategy.SMART, deployment("claude/m", cloud=True, priority=5), loaded("desk/m", priority=1)) == [
        "desk/m",
        "claude/m",
    ]


def test_smart_then_prefers_free_slots_then_the_shorter_wait_then_fewer_attempts() -> None:
    two = deployment("two/m", backend_live=BackendLive(slots=3, in_use=1))
    one = deployment("one/m", backend_live=BackendLive(slots=3, in_use=2))
    short = deployment("short/m", backend_live=BackendLive(slots=1, in_use=1, queued=1))
    long = deployment("long/m", backend_live=BackendLive(slots=1, in_use=1, queued=4))
    assert order_of(Strategy.SMART, long, short, one, two) == ["two/m", "one/m", "short/m", "long/m"]
    busy, idle = (deployment(f"{name}/m", live=Live(in_flight=n)) for name, n in (("busy", 3), ("idle", 2)))
    assert order_of(Strategy.SMART, busy, idle) == ["idle/m", "busy/m"]


def test_smart_brings_a_session_back_to_the_same_deployment_and_spreads_sessions() -> None:
    pool = [deployment(f"b{number}/m", backend_live=BackendLive(slots=4)) for number in range(4)]
    first = [order_of(Strategy.SMART, *pool, session=f"session {number}")[0] for number in range(80)]
    again = [order_of(Strategy.SMART, *reversed(pool), session=f"session {number}")[0] for number in range(80)]
    assert first == again
    assert len(set(first)) == 4


def test_smart_leaves_a_session_s_place_when_it_has_no_free_slot() -> None:
    full = deployment("full/m", backend_live=BackendLive(slots=1, in_use=1))
    free = deployment("free/m", backend_live=BackendLive(slots=1))
    assert all(order_of(Strategy.SMART, full, free, session=str(n))[0] == "free/m" for n in range(10))


def test_the_expected_wait_counts_the_queue_and_the_load() -> None:
    request = traits(max_tokens=100)
    live = Live(ttft=1.0, rate=50.0, load=7.0)  # 3 s each
    queued = deployment(live=live, backend_live=BackendLive(slots=2, in_use=2, queued=3))
    assert expected_wait(queued, request) == pytest.approx(4 * 3 / 2)
    assert expected_wait(deployment(live=live, backend_live=BackendLive(slots=2, in_use=1)), request) == 0
    assert expected_wait(loaded("desk/m", live=live), request) == 7.0
    assert expected_wait(loaded("desk/m"), request) == ASSUMED_LOAD_SECONDS
    assert free_slots(queued) == 0


def test_priority_keeps_the_written_order_among_equals() -> None:
    assert order_of(
        Strategy.PRIORITY, deployment("c/m", priority=2), deployment("a/m"), deployment("b/m", priority=2)
    ) == [
        "c/m",
        "b/m",
        "a/m",
    ]


def test_latency_tries_what_was_never_measured_and_does_not_send_everybody_there() -> None:
    known, unknown = measured("known/m", 0.1, 50), measured("unknown/m", 0, 0)
    waiting = measured("waiting/m", 0, 0, in_flight=1)
    assert order_of(Strategy.LATENCY, known, unknown) == ["unknown/m", "known/m"]
    assert order_of(Strategy.LATENCY, waiting, known) == ["known/m", "waiting/m"]


def test_latency_weighs_the_rate_by_the_length_of_the_answer() -> None:
    prompt, steady = measured("prompt/m", 0.1, 10), measured("steady/m", 1.0, 100)
    assert order_of(Strategy.LATENCY, prompt, steady, max_tokens=5)[0] == "prompt/m"
    assert order_of(Strategy.LATENCY, prompt, steady, max_tokens=500)[0] == "steady/m"


def test_latency_spreads_the_first_place_and_never_gives_it_to_the_slowest() -> None:
    pool = [measured(f"b{place}/m", place, 50) for place in range(1, 5)]
    firsts = Counter(order_of(Strategy.LATENCY, *pool, seed=seed)[0] for seed in range(600))
    assert firsts["b4/m"] == 0
    assert firsts["b1/m"] > firsts["b2/m"] > firsts["b3/m"] > 0


def test_cost_prefers_the_cheapest_for_this_request() -> None:
    reads = deployment("reads/m", price=Price(input=1, output=100))
    writes = deployment("writes/m", price=Price(input=10, output=10))
    free = deployment("free/m", priority=900)
    assert order_of(Strategy.COST, writes, reads, prompt_tokens=10**8, max_tokens=10) == ["reads/m", "writes/m"]
    assert order_of(Strategy.COST, reads, writes, prompt_tokens=0, max_tokens=10**6) == ["writes/m", "reads/m"]
    assert order_of(Strategy.COST, reads, writes, free, prompt_tokens=10**8)[0] == "free/m"


def test_cost_counts_seconds_of_a_priced_gpu() -> None:
    gpu = deployment(price=Price(gpu_second=1000), live=Live(ttft=1.0, rate=10.0))
    assert expected_cost(gpu, traits(max_tokens=20)) == 3000


@pytest.mark.parametrize("strategy", Strategy)
def test_internal_content_prefers_local_deployments_whatever_the_strategy(strategy: Strategy) -> None:
    cloud = deployment("claude/m", cloud=True, priority=1, live=Live(ttft=0.1, rate=900.0))
    local = deployment("desk/m", priority=9, price=Price(input=5, output=5), live=Live(ttft=9, rate=1))
    for seed in range(4):
        assert order_of(strategy, cloud, local, seed=seed, sensitivity=Sensitivity.INTERNAL) == ["desk/m", "claude/m"]
    if strategy is not Strategy.ROUND_ROBIN:
        assert order_of(strategy, local, cloud)[0] == "claude/m"


@examples(100)
@given(
    strategy=st.sampled_from(Strategy),
    pool=st.lists(deployments, max_size=6),
    request=requests,
    seed=st.integers(0, 99),
)
def test_an_order_is_the_same_candidates_each_once_and_can_be_said_in_words(
    strategy: Strategy, pool: list[DeploymentFacts], request: Any, seed: int
) -> None:
    order = ordered(strategy, pool, request, POLICY, seed=seed)
    assert sorted(map(id, order)) == sorted(map(id, pool))
    assert list(ordered(strategy, pool, request, POLICY, seed=seed)) == list(order)
    assert all(detail(strategy, each, request, POLICY) for each in order)


@examples(60)
@given(weights=st.lists(st.integers(0, 12), min_size=1, max_size=6), start=st.integers(0, 10**6))
def test_each_gets_exactly_its_weight_of_turns_in_any_cycle(weights: list[int], start: int) -> None:
    share = weights if any(weights) else [1] * len(weights)
    cycle = [turn(weights, start + number) for number in range(sum(share))]
    firsts = Counter(order[0] for order in cycle)
    assert [firsts[place] for place in range(len(weights))] == share
    assert all(sorted(order) == list(range(len(weights))) for order in cycle)


@examples(60)
@given(weights=st.lists(st.integers(1, 12), min_size=2, max_size=6))
def test_turns_are_spread_evenly_over_a_cycle(weights: list[int]) -> None:
    total = sum(weights)
    had = [0] * len(weights)
    for number in range(total):
        had[turn(weights, number)[0]] += 1
        for place, weight in enumerate(weights):
            assert abs(had[place] - (number + 1) * weight / total) <= len(weights) / 2 + 1


def test_turns_interleave_as_people_expect() -> None:
    assert [turn([5, 1, 1], number)[0] for number in range(7)] == [0, 0, 0, 1, 2, 0, 0]
    assert [turn([1, 1, 1], number) for number in range(3)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    assert turn([70_000, 30_000], 99_999)[0] in (0, 1)
