"""Which route applies to a request, as a table of cases and as properties: above all that the floor never falls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.chat import Sampling
from junto.core.sensitivity import Sensitivity
from junto.routing.route_table import Routed, RouteTable, apply, opened
from junto.routing.routes import Route
from junto.routing.sensitivity import effective_sensitivity

EMAIL = Route(
    task_type="email",
    preferred_model="fast",
    fallback_model="quality",
    sensitivity=Sensitivity.INTERNAL,
    max_tokens=200,
    sampling=Sampling(temperature=0.0),
    version=3,
)
AUDIT = Route(task_type="audit", preferred_model="quality", sensitivity=Sensitivity.CONFIDENTIAL, version=1)
DEFAULT = Route(task_type="default", preferred_model="small", sensitivity=Sensitivity.INTERNAL, version=2)
TABLE = RouteTable.of([EMAIL, AUDIT])
WITH_DEFAULT = TABLE.changed({"default": DEFAULT})

BY_EMAIL = Routed(
    model="fast",
    fallback="quality",
    floor=Sensitivity.INTERNAL,
    max_tokens=200,
    sampling=Sampling(temperature=0.0),
    task_type="email",
    route="email",
    route_version=3,
)


@pytest.mark.parametrize("model", ["llama3.2:3b", "fast", "automatic", "openrouter/auto", "tasks/email", "Auto", ""])
def test_a_plain_model_without_a_task_type_is_left_alone(model: str) -> None:
    assert apply(WITH_DEFAULT, model, "") is None


@pytest.mark.parametrize(
    ("model", "task_type"),
    [
        ("task/email", ""),
        ("auto", "email"),
        ("task/email:latest", ""),
        ("auto:latest", "email"),
        ("task/email", "email"),
    ],
)
def test_a_task_is_named_by_the_model_or_by_the_request(model: str, task_type: str) -> None:
    assert apply(TABLE, model, task_type) == BY_EMAIL


def test_a_named_model_is_kept_and_takes_the_floor_only() -> None:
    routed = apply(TABLE, "llama3.2:3b", "email")
    assert routed == Routed(
        model="llama3.2:3b",
        floor=Sensitivity.INTERNAL,
        task_type="email",
        keeps_model=True,
        route="email",
        route_version=3,
    )


@pytest.mark.parametrize(("model", "task_type"), [("task/bio", ""), ("auto", "bio"), ("auto", ""), ("task/", "")])
def test_an_unknown_task_type_runs_by_the_default_route_and_says_so(model: str, task_type: str) -> None:
    routed = apply(WITH_DEFAULT, model, task_type)
    assert routed is not None
    assert (routed.model, routed.floor, routed.label, routed.is_default) == (
        "small",
        Sensitivity.INTERNAL,
        "default@2",
        True,
    )
    standing = apply(TABLE, model, task_type)
    assert standing is not None
    assert (standing.model, standing.floor, standing.label, standing.is_default) == ("fast", None, "default", True)


def test_the_default_route_asked_for_by_its_name_is_no_stand_in() -> None:
    routed = apply(WITH_DEFAULT, "task/default", "")
    assert routed is not None
    assert not routed.is_default


def test_of_two_tasks_the_models_counts_under_the_stricter_floor() -> None:
    routed = apply(TABLE, "task/email", "audit")
    assert routed is not None
    assert (routed.model, routed.task_type, routed.floor) == ("fast", "email", Sensitivity.CONFIDENTIAL)


def test_a_changed_table_leaves_the_old_one_as_it_was() -> None:
    assert set(TABLE.changed({"email": None, "default": DEFAULT}).routes) == {"audit", "default"}
    assert set(TABLE.routes) == {"audit", "email"}


def test_a_task_on_the_list_of_models_opens_what_its_route_names() -> None:
    routed = apply(TABLE, "task/email", "")
    assert routed is not None
    stages = ("fast", "quality")
    assert opened(frozenset({"task/email"}), "task/email", routed, stages) == {"task/email", "fast", "quality"}
    assert opened(frozenset({"auto"}), "auto", routed, stages) == {"auto", "fast", "quality"}
    assert opened(frozenset({"llama"}), "task/email", routed, stages) == {"llama"}
    kept = apply(TABLE, "llama", "email")
    assert kept is not None
    assert opened(frozenset({"task/email"}), "llama", kept, stages) == {"task/email"}


TASKS = st.sampled_from(["", "a", "b", "c", "default", "unknown"])
TIERS = st.sampled_from(list(Sensitivity))
ROUTES = st.builds(
    Route,
    task_type=st.sampled_from(["a", "b", "c", "default"]),
    preferred_model=st.sampled_from(["fast", "quality", "m"]),
    fallback_model=st.none() | st.just("quality"),
    sensitivity=TIERS,
    version=st.integers(1, 9),
)
TABLES = st.lists(ROUTES, max_size=6).map(RouteTable.of)
MODELS = st.one_of(st.sampled_from(["m", "fast", "auto", "task/"]), TASKS.map("task/".__add__), st.text(max_size=8))


@given(table=TABLES, model=MODELS, task_type=TASKS | st.text(max_size=8))
def test_the_floor_is_never_below_that_of_a_route_that_was_named(table: RouteTable, model: str, task_type: str) -> None:
    routed = apply(table, model, task_type)
    named = {task_type, model.removeprefix("task/").removesuffix(":latest") if model.startswith("task/") else ""} - {""}
    floors = [route.sensitivity for name in named if (route := table.find(name)) is not None]
    if floors:
        assert routed is not None
        assert routed.floor is not None
        assert routed.floor >= max(floors)


@given(table=TABLES, model=MODELS, task_type=TASKS, asked=st.none() | TIERS, client=TIERS, default=TIERS)
def test_no_request_gets_below_the_floor_of_its_route(
    *,
    table: RouteTable,
    model: str,
    task_type: str,
    asked: Sensitivity | None,
    client: Sensitivity,
    default: Sensitivity,
) -> None:
    routed = apply(table, model, task_type)
    floor = None if routed is None else routed.floor
    tier = effective_sensitivity(default=default, principal_min=client, asked_header=asked, route_floor=floor)
    assert tier >= max(floor or Sensitivity.PUBLIC, client, asked or Sensitivity.PUBLIC)


@given(table=TABLES, model=MODELS, task_type=TASKS)
def test_every_task_is_routed_to_something_that_is_no_task(table: RouteTable, model: str, task_type: str) -> None:
    """Whatever is asked, one application is enough: what comes out names no task again."""
    routed = apply(table, model, task_type)
    if routed is not None and not routed.keeps_model:
        assert routed.model in {"fast", "quality", "m"}
        assert apply(table, routed.model, "") is None
