"""A plan in words."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from junto.core.sensitivity import Sensitivity
from junto.routing.explain import explain
from junto.routing.facts import BackendLive, Live, Policy, Stage, Strategy, Traits
from junto.routing.plan import plan
from tests.unit.routing.facts import NOW, OPEN, POLICY, deployment, examples, keys, requests, stage, stages, traits


def as_json(*given_stages: Stage, policy: Policy = POLICY, **request: Any) -> Any:
    explained = explain(traits(**request), given_stages, policy, now=NOW, seed=0)
    return msgspec.json.decode(msgspec.json.encode(explained))


def test_a_kept_candidate_shows_its_place_its_stage_and_what_was_weighed() -> None:
    desk = deployment("desk/m", priority=1, backend_live=BackendLive(slots=2, in_use=1, resident=frozenset("m")))
    said = as_json(stage(desk, name="fast", strategy=Strategy.SMART))
    assert said["candidates"] == [
        {
            "position": 1,
            "deployment": "desk/m",
            "model": "m",
            "backend": "desk",
            "stage": "fast",
            "locality": "local",
            "is_attempted": True,
            "reasons": [
                {"rule": "smart", "detail": "in memory, priority 1, 1 free slots, expected wait 0.0 s"},
            ],
        }
    ]
    assert said["sensitivity"] == "public"
    assert said["last_resort"] is False


def test_a_dropped_candidate_shows_the_filter_and_its_words() -> None:
    said = as_json(stage(deployment("claude/m", cloud=True)), sensitivity=Sensitivity.CONFIDENTIAL)
    assert said["candidates"] == []
    assert said["dropped"] == [
        {
            "deployment": "claude/m",
            "model": "m",
            "backend": "claude",
            "locality": "cloud",
            "filter": "sensitivity",
            "detail": "confidential content stays on local deployments",
        }
    ]


def test_internal_content_shows_that_local_goes_first() -> None:
    mixed = stage(deployment("claude/m", cloud=True, priority=1), deployment("desk/m"))
    said = as_json(mixed, sensitivity=Sensitivity.INTERNAL, allow_cloud_for_internal=True)
    assert [each["reasons"][0]["detail"] for each in said["candidates"]] == [
        "local goes first",
        "cloud goes after local",
    ]


def test_a_last_resort_shows_why_it_is_tried() -> None:
    said = as_json(stage(deployment(live=Live(breaker=OPEN)), deployment("b/m", backend_live=BackendLive(up=False))))
    assert said["last_resort"] is True
    assert said["candidates"][0]["reasons"][-1] == {
        "rule": "last_resort",
        "detail": "every candidate is out of service, this one least: its breaker is open",
    }


def test_candidates_beyond_the_most_attempts_are_shown_as_such() -> None:
    said = as_json(stage(deployment("a/m"), deployment("b/m")), policy=Policy(max_attempts=1))
    assert [each["is_attempted"] for each in said["candidates"]] == [True, False]


@examples(50)
@given(request=requests, given_stages=stages, seed=st.integers(0, 99))
def test_an_explanation_tells_of_the_very_plan_that_the_gateway_follows(
    request: Traits, given_stages: list[Stage], seed: int
) -> None:
    decided = plan(request, given_stages, POLICY, now=NOW, seed=seed)
    said = explain(request, given_stages, POLICY, now=NOW, seed=seed)
    assert [each.deployment for each in said.candidates] == keys(decided.candidates)
    assert [each.deployment for each in said.dropped] == keys(each.deployment for each in decided.dropped)
    assert all(each.reasons for each in said.candidates)
    assert msgspec.json.encode(said)
