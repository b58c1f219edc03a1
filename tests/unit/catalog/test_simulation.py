"""Trying a changed table on recorded requests; and what a route is warned of."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from junto.catalog.route_book import warnings
from junto.catalog.simulation import NOT_SERVABLE, UNKNOWN_MODEL, Policy, Simulation
from junto.core.sensitivity import Sensitivity
from junto.core.usage import Usage
from junto.ports.routes import RecordedExchange
from junto.routing.route_table import RouteTable
from junto.routing.routes import Route, ShadowModel
from tests.unit.catalog.specs import cloud, ollama, probe, snapshot

PRICES = "- {provider: openai, model: gpt, from: 2025-01-01, input: 1, output: 10}"
CATALOG = snapshot(ollama("desk"), cloud("up", "gpt"), found={"desk": probe("phi4")}, prices=PRICES)
PUBLIC = Route(task_type="bio", preferred_model="gpt", sensitivity=Sensitivity.PUBLIC)
BEFORE = RouteTable.of([PUBLIC])


def recorded(**more: Any) -> RecordedExchange:
    return RecordedExchange(
        **{
            "id": "req_1",
            "client_id": "",
            "client": "anonymous",
            "operation": "chat",
            "requested_model": "task/bio",
            "sensitivity": Sensitivity.PUBLIC,
            "task_type": "bio",
            "stream": False,
            "usage": Usage(input=1_000_000, output=100_000),
            "cost_nano": 7,
            **more,
        }
    )


def simulated(after: RouteTable, *exchanges: RecordedExchange, policy: Policy | None = None) -> dict[str, Any]:
    simulation = Simulation(CATALOG, BEFORE, after, policy_of=lambda _: policy or Policy(), now=0.0)
    for one in exchanges:
        simulation.add(one)
    return simulation.result()


def test_the_same_table_moves_nothing() -> None:
    result = simulated(BEFORE, recorded(), recorded(requested_model="phi4", task_type=""))
    assert (result["requests"], result["moved"], result["moves"]) == (2, 0, [])
    assert result["cost_usd"] == {"recorded": "0.000000014", "before": "2.000000", "after": "2.000000"}


def test_a_task_that_moves_home_costs_nothing_any_more() -> None:
    after = BEFORE.changed({"bio": Route(task_type="bio", preferred_model="phi4")})
    result = simulated(after, recorded(), recorded(id="req_2"), recorded(requested_model="gpt", task_type=""))
    assert (result["moved"], result["unchanged"], result["tier_raised"]) == (2, 1, 2)
    assert result["moves"] == [
        {"task_type": "bio", "from": "up/gpt", "to": "desk/phi4", "count": 2, "examples": ["req_1", "req_2"]}
    ]
    assert (result["cost_usd"]["before"], result["cost_usd"]["after"]) == ("6.000000", "2.000000")


def test_what_nobody_may_serve_is_counted() -> None:
    confidential = Route(task_type="bio", preferred_model="gpt", sensitivity=Sensitivity.CONFIDENTIAL)
    result = simulated(BEFORE.changed({"bio": confidential}), recorded())
    assert result["not_servable"] == 1
    assert [(one["from"], one["to"]) for one in result["moves"]] == [("up/gpt", NOT_SERVABLE)]
    gone = simulated(BEFORE.changed({"bio": Route(task_type="bio", preferred_model="nosuch")}), recorded())
    assert [one["to"] for one in gone["moves"]] == [UNKNOWN_MODEL]


def test_a_deleted_route_leaves_its_task_to_the_default() -> None:
    result = simulated(BEFORE.changed({"bio": None}), recorded())
    assert [(one["from"], one["to"]) for one in result["moves"]] == [("up/gpt", "desk/phi4")]


def test_a_clients_list_of_models_counts() -> None:
    policy = Policy(allowed_models=frozenset({"phi4"}))
    result = simulated(BEFORE, recorded(), policy=policy)
    assert result["not_servable"] == 1
    opened = simulated(BEFORE, recorded(), policy=Policy(allowed_models=frozenset({"task/bio"})))
    assert opened["not_servable"] == 0


@given(
    tier=st.sampled_from(list(Sensitivity)),
    floor=st.sampled_from(list(Sensitivity)),
    model=st.sampled_from(["gpt", "phi4", "fast"]),
    name=st.sampled_from(["task/bio", "auto", "gpt", "fast"]),
)
def test_confidential_content_is_never_simulated_into_the_cloud(
    tier: Sensitivity, floor: Sensitivity, model: str, name: str
) -> None:
    """Neither what was confidential when it was recorded, nor what the changed table makes so."""
    after = BEFORE.changed({"bio": Route(task_type="bio", preferred_model=model, sensitivity=floor)})
    exchange = recorded(sensitivity=tier, requested_model=name)
    result = simulated(after, exchange)
    if max(tier, floor) is Sensitivity.CONFIDENTIAL:
        assert not [one for one in result["moves"] if one["to"] == "up/gpt"]
        assert result["cost_usd"]["after"] == "0.000000"


def test_a_route_to_nothing_is_warned_of() -> None:
    (told,) = warnings(Route(task_type="x", preferred_model="phi5"), CATALOG)
    assert "'phi5'" in told
    assert "phi4" in told


def test_a_confidential_route_into_the_cloud_is_warned_of() -> None:
    (told,) = warnings(Route(task_type="x", preferred_model="gpt"), CATALOG)
    assert "every request of this task is refused" in told
    assert list(warnings(Route(task_type="x", preferred_model="gpt", fallback_model="phi4"), CATALOG)) == []
    assert list(warnings(PUBLIC, CATALOG)) == []


def test_a_shadow_that_would_never_be_asked_is_warned_of() -> None:
    shadows = (ShadowModel(model="phi4", rate=0.1), ShadowModel(model="agent/clerk", rate=0.1))
    route = Route(task_type="x", preferred_model="phi4", shadow_models=shadows)
    told = list(warnings(route, CATALOG))
    assert any("no shadow of itself" in one for one in told)
    assert any("'agent/clerk' is not asked as a shadow" in one for one in told)


def test_a_confidential_routes_shadow_in_the_cloud_is_warned_of() -> None:
    route = Route(task_type="x", preferred_model="phi4", shadow_models=(ShadowModel(model="gpt", rate=0.1),))
    (told,) = warnings(route, CATALOG)
    assert "never be a shadow" in told
