"""Each filter, by table."""

from typing import Any

import pytest
from hypothesis import given

from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.money import Price
from junto.core.sensitivity import Sensitivity
from junto.routing import filters
from junto.routing.facts import BackendLive, Breaker, BreakerState, DeploymentFacts, Live, Traits
from tests.unit.routing.facts import NOW, OPEN, PROBED, deployment, deployments, examples, requests, traits

PUBLIC, INTERNAL, CONFIDENTIAL = Sensitivity
TOOLS, VISION = Capability.TOOLS, Capability.VISION


def detail_of(
    check: filters.Filter, facts: dict[str, Any], request: dict[str, Any], stage: str = "group"
) -> str | None:
    reason = check(deployment(**facts), traits(**request), stage, NOW)
    if reason is None:
        return None
    assert reason.rule == getattr(check, "__name__", "")
    return reason.detail


@pytest.mark.parametrize(
    ("cloud", "tier", "opted_in", "passes"),
    [
        (False, PUBLIC, False, True),
        (False, INTERNAL, False, True),
        (False, CONFIDENTIAL, False, True),
        (True, PUBLIC, False, True),
        (True, INTERNAL, False, False),
        (True, INTERNAL, True, True),
        (True, CONFIDENTIAL, False, False),
        (True, CONFIDENTIAL, True, False),
    ],
)
def test_the_floor_follows_the_table_of_tiers(cloud: bool, tier: Sensitivity, opted_in: bool, passes: bool) -> None:  # noqa: FBT001
    detail = detail_of(
        filters.sensitivity, {"cloud": cloud}, {"sensitivity": tier, "allow_cloud_for_internal": opted_in}
    )
    assert (detail is None) is passes
    assert detail is None or tier.label in detail


@pytest.mark.parametrize(
    ("check", "facts", "request_", "detail"),
    [
        (filters.enabled, {}, {}, None),
        (filters.enabled, {"enabled": False}, {}, "switched off by the operator"),
        (filters.operation, {}, {"operation": Operation.EMBED}, None),
        (
            filters.operation,
            {"operations": frozenset({Operation.CHAT})},
            {"operation": Operation.EMBED},
            "does not do embeddings",
        ),
        (filters.capability, {}, {"needs": VISION}, None),
        (filters.capability, {"capabilities": TOOLS | VISION}, {"needs": VISION}, None),
        (filters.capability, {"capabilities": Capability.NONE}, {"needs": TOOLS | VISION}, "lacks tools, vision"),
        (filters.capability, {"capabilities": TOOLS}, {"needs": TOOLS | VISION}, "lacks vision"),
        (filters.context_length, {}, {"prompt_tokens": 10**9}, None),
        (filters.context_length, {"context_length": 100}, {"prompt_tokens": 100}, None),
        (filters.context_length, {"context_length": 100}, {"prompt_tokens": 60, "max_tokens": 40}, None),
        (
            filters.context_length,
            {"context_length": 100},
            {"prompt_tokens": 60, "max_tokens": 41},
            "needs about 101 tokens, holds 100",
        ),
        (filters.price_cap, {"price": Price(output=9)}, {}, None),
        (filters.price_cap, {"price": Price(output=9)}, {"max_price": 9}, None),
        (
            filters.price_cap,
            {"price": Price(output=9)},
            {"max_price": 8},
            "output costs 9 nano-dollars per million tokens, the cap is 8",
        ),
        (filters.backend_up, {}, {}, None),
        (filters.backend_up, {"backend_live": BackendLive(up=False)}, {}, "the backend does not answer its heartbeat"),
        (filters.breaker, {}, {}, None),
        (filters.breaker, {"live": Live(breaker=Breaker(failures=4))}, {}, None),
        (filters.breaker, {"live": Live(breaker=OPEN)}, {}, "open for another 20.0 s"),
        (filters.breaker, {"live": Live(breaker=Breaker(BreakerState.OPEN, 5, NOW, 30))}, {}, None),
        (filters.breaker, {"live": Live(breaker=PROBED)}, {}, "half-open, and its probe is under way"),
        (filters.breaker, {"live": Live(breaker=Breaker(BreakerState.HALF_OPEN, 5, NOW, 30))}, {}, None),
    ],
)
def test_a_filter_keeps_or_says_why_not(
    check: filters.Filter, facts: dict[str, Any], request_: dict[str, Any], detail: str | None
) -> None:
    assert detail_of(check, facts, request_) == detail


@pytest.mark.parametrize(
    ("allowed", "stage", "passes"),
    [
        (None, "group", True),
        ({"llama"}, "group", True),
        ({"desk/llama"}, "group", True),
        ({"group"}, "group", True),
        ({"group"}, "its-fallback", False),
        ({"rack/llama", "other"}, "group", False),
        (set(), "group", False),
    ],
)
def test_an_allow_list_may_name_the_model_the_pinned_name_or_the_stage(
    allowed: set[str] | None,
    stage: str,
    passes: bool,  # noqa: FBT001
) -> None:
    request = {"allowed_models": None if allowed is None else frozenset(allowed)}
    assert (detail_of(filters.allowed_models, {}, request, stage) is None) is passes


def test_sensitivity_is_weighed_before_everything_else_and_health_last() -> None:
    assert filters.FILTERS[0] is filters.sensitivity
    assert filters.FILTERS[-2:] == filters.SOFT == (filters.backend_up, filters.breaker)


@examples(500)
@given(facts=deployments, wanted=requests)
def test_what_is_kept_at_a_glance_every_filter_keeps(facts: DeploymentFacts, wanted: Traits) -> None:
    if filters.keeps(facts, wanted):
        assert [check(facts, wanted, "m", NOW) for check in filters.FILTERS] == [None] * len(filters.FILTERS)


def test_a_healthy_deployment_is_kept_at_a_glance() -> None:
    assert filters.keeps(deployment(), traits())
