"""From a route's names to deployments, and tasks in the list of models."""

from __future__ import annotations

from typing import Any

import pytest

from junto.catalog.model import Kind
from junto.catalog.tasks import all_cards, resolve_named, resolve_routed
from junto.core.errors import UnknownModel
from junto.core.sensitivity import Locality, Sensitivity
from junto.routing.facts import Traits
from junto.routing.route_table import Routed, RouteTable, apply
from junto.routing.routes import Route
from tests.unit.catalog.specs import cloud, group, ollama, probe, snapshot, stages

CATALOG = snapshot(
    ollama("desk"),
    cloud("claude", "sonnet"),
    found={"desk": probe("phi4", "tiny")},
    groups={"fast": group("phi4"), "quality": group("sonnet", fallback="fast")},
    fallbacks={"sonnet": ("tiny",)},
)
TABLE = RouteTable.of(
    [
        Route(task_type="email", preferred_model="fast", fallback_model="quality"),
        Route(task_type="audit", preferred_model="quality", fallback_model="tiny"),
        Route(task_type="gone", preferred_model="nothing"),
        Route(task_type="half", preferred_model="nothing", fallback_model="fast"),
    ]
)


ANYONE = Traits(sensitivity=Sensitivity.PUBLIC)


def routed(model: str, fallback: str | None = None) -> Routed:
    return Routed(model=model, fallback=fallback, task_type="t")


def test_a_route_without_a_fallback_is_what_its_model_is() -> None:
    assert resolve_routed(CATALOG, routed("quality")) is CATALOG.resolve("quality")


def test_the_routes_fallback_is_the_second_stage() -> None:
    """It goes before the fallbacks that the group and its members have by rule, and nothing comes twice."""
    found = resolve_routed(CATALOG, routed("quality", "tiny"))
    assert found.name == "quality"
    assert stages(found) == [("quality", ["claude/sonnet"]), ("tiny", ["desk/tiny"]), ("fast", ["desk/phi4"])]
    assert [name for name, _ in stages(resolve_routed(CATALOG, routed("fast", "quality")))][:2] == ["fast", "quality"]
    assert [name for name, _ in stages(resolve_routed(CATALOG, routed("fast", "fast")))] == ["fast"]


def test_a_name_that_nothing_has_is_passed_over_and_its_place_stays() -> None:
    assert stages(resolve_routed(CATALOG, routed("nothing", "fast"))) == [("nothing", []), ("fast", ["desk/phi4"])]
    assert resolve_routed(CATALOG, routed("fast", "nothing")) is CATALOG.resolve("fast")


@pytest.mark.parametrize("name", ["task/gone", "task/gone:latest"])
def test_a_route_to_nothing_says_so(name: str) -> None:
    with pytest.raises(UnknownModel, match="nothing"):
        resolve_named(CATALOG, TABLE, name)


def test_a_task_without_a_route_names_the_group_that_is_missing() -> None:
    bare = snapshot(cloud("claude", "sonnet"), groups={"best": group("sonnet")})
    wanted = apply(RouteTable(), "task/x", "")
    assert wanted is not None
    with pytest.raises(UnknownModel, match=r"has no route, so it goes to 'fast'"):
        resolve_routed(bare, wanted)


def test_any_name_that_a_caller_may_send_is_resolved() -> None:
    assert resolve_named(CATALOG, TABLE, "sonnet") is CATALOG.resolve("sonnet")
    task = resolve_named(CATALOG, TABLE, "task/email")
    assert (task.name, task.kind) == ("task/email", Kind.TASK)
    assert stages(resolve_named(CATALOG, TABLE, "auto"))[0][0] == "fast"


def test_tasks_that_something_serves_are_listed_after_the_models() -> None:
    known = {one.name: one for one in all_cards(CATALOG, TABLE, {}, ANYONE)}
    assert list(known)[-4:] == ["auto", "task/audit", "task/email", "task/half"]
    assert (known["task/audit"].kind, known["task/audit"].provider) == (Kind.TASK, "junto")
    assert known["task/audit"].localities == (Locality.CLOUD,)


def test_without_routes_no_task_is_listed() -> None:
    assert not [one.name for one in all_cards(CATALOG, RouteTable(), {}, ANYONE) if one.kind is Kind.TASK]


def names_for(**client: Any) -> set[str]:
    """What a client with that policy is shown."""
    allowed = client.pop("allowed_models", None)
    traits = Traits(allowed_models=None if allowed is None else frozenset(allowed), **client)
    return {one.name for one in all_cards(CATALOG, TABLE, {}, traits)}


LOCAL = {"phi4", "tiny", "fast", "quality", "auto", "task/audit", "task/email", "task/half"}
PUBLIC, INTERNAL, CONFIDENTIAL = Sensitivity.PUBLIC, Sensitivity.INTERNAL, Sensitivity.CONFIDENTIAL


@pytest.mark.parametrize(
    ("client", "names"),
    [
        ({"sensitivity": PUBLIC}, {*LOCAL, "sonnet"}),
        ({"sensitivity": INTERNAL, "allow_cloud_for_internal": True}, {*LOCAL, "sonnet"}),
        ({"sensitivity": INTERNAL}, {*LOCAL, "sonnet"}),  # sonnet falls back to a local model
        (
            {"sensitivity": PUBLIC, "allowed_models": ["phi4"]},
            {"phi4", "fast", "quality", "auto", "task/audit", "task/email", "task/half"},
        ),
        ({"sensitivity": PUBLIC, "allowed_models": ["sonnet"]}, {"sonnet", "quality"}),  # the tasks are confidential
        ({"sensitivity": CONFIDENTIAL, "allowed_models": ["claude/sonnet"]}, set()),
        ({"sensitivity": PUBLIC, "allowed_models": ["task/audit"]}, {"task/audit"}),
        ({"sensitivity": PUBLIC, "allowed_models": []}, set()),
    ],
)
def test_a_list_has_what_the_key_may_use_and_nothing_else(client: dict[str, Any], names: set[str]) -> None:
    assert names_for(**client) == names
