"""Which models would take a route over, and what speaks against them; a canary on its way to deployments."""

from __future__ import annotations

from msgspec.structs import replace

from junto.catalog.candidates import models_behind, serves_everybody, why_not
from junto.catalog.tasks import resolve_routed
from junto.core.sensitivity import Sensitivity
from junto.routing.route_table import Routed
from junto.routing.routes import Route
from tests.unit.catalog.specs import cloud, group, ollama, probe, snapshot, stages

CATALOG = snapshot(
    ollama("desk"),
    cloud("claude", "sonnet"),
    found={"desk": probe("phi4", "tiny")},
    groups={
        "fast": group("phi4", "tiny"),
        "quality": group("sonnet", fallback="fast"),
        "mixed": group("sonnet", "tiny"),
    },
)
ROUTE = Route(task_type="mail", preferred_model="phi4", sensitivity=Sensitivity.INTERNAL)
SECRET = replace(ROUTE, sensitivity=Sensitivity.CONFIDENTIAL)


def test_a_group_is_its_models_without_its_fallbacks() -> None:
    assert models_behind(CATALOG, "fast") == {"phi4", "tiny"}
    assert models_behind(CATALOG, "quality") == {"sonnet"}
    assert models_behind(CATALOG, "desk/phi4") == {"phi4"}
    assert models_behind(CATALOG, "gone") == {"gone"}


def test_confidential_content_is_never_given_to_a_candidate_in_the_cloud() -> None:
    assert "stays on local models" in (why_not(CATALOG, SECRET, "sonnet") or "")
    assert "stays on local models" in (why_not(CATALOG, SECRET, "quality") or ""), (
        "its fallback is local, itself it is not"
    )
    assert why_not(CATALOG, SECRET, "tiny") is None
    assert why_not(CATALOG, SECRET, "mixed") is None
    assert why_not(CATALOG, ROUTE, "sonnet") is None


def test_what_is_not_there_or_answers_already_is_no_candidate() -> None:
    assert "Nothing here serves" in (why_not(CATALOG, ROUTE, "gone") or "")
    assert "answers already" in (why_not(CATALOG, replace(ROUTE, preferred_model="fast"), "tiny") or "")
    assert why_not(CATALOG, ROUTE, "fast") is None


def test_internal_work_goes_on_for_clients_who_do_not_let_it_into_the_cloud_only_on_local_models() -> None:
    assert not serves_everybody(CATALOG, ROUTE, "sonnet")
    assert serves_everybody(CATALOG, ROUTE, "mixed")
    assert serves_everybody(CATALOG, replace(ROUTE, sensitivity=Sensitivity.PUBLIC), "sonnet")


def test_a_canary_comes_before_the_routes_model_and_that_one_before_its_fallback() -> None:
    canary = Routed(model="tiny", fallback="phi4", spare="sonnet", task_type="mail", is_canary=True)
    found = stages(resolve_routed(CATALOG, canary))
    assert found == [("tiny", ["desk/tiny"]), ("phi4", ["desk/phi4"]), ("sonnet", ["claude/sonnet"])]


def test_a_canary_that_nothing_serves_leaves_the_request_to_the_routes_model() -> None:
    gone = Routed(model="gone", fallback="phi4", spare="sonnet", task_type="mail", is_canary=True)
    assert [names for _, names in stages(resolve_routed(CATALOG, gone))] == [[], ["desk/phi4"], ["claude/sonnet"]]
