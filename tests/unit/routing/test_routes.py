"""Routes as documents, and what may not be a route."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.chat import Sampling
from junto.core.errors import InvalidField
from junto.core.sensitivity import Sensitivity
from junto.routing.evidence import Auto, Canary, EvidenceGate
from junto.routing.routes import Route, ShadowModel, check_route, check_task_type, document_of, route_from, task_of

FULL = Route(
    task_type="email",
    preferred_model="fast",
    fallback_model="quality",
    sensitivity=Sensitivity.INTERNAL,
    max_tokens=300,
    sampling=Sampling(temperature=0.2, top_p=0.9, stop=("END",)),
    shadow_models=(ShadowModel(model="quality", rate=0.1, daily_cap_nano=1_500_000_000),),
    evidence=EvidenceGate(min_scores=40, auto=Auto.CANARY),
    canary=Canary(model="quality", share=0.05),
    notes="short mails",
    version=4,
)


def test_a_document_says_everything_in_plain_json() -> None:
    assert document_of(FULL) == {
        "preferred_model": "fast",
        "fallback_model": "quality",
        "sensitivity": "internal",
        "max_tokens": 300,
        "sampling": {"temperature": 0.2, "top_p": 0.9, "stop": ("END",)},
        "shadow_models": [{"model": "quality", "rate": 0.1, "daily_cost_cap_usd": "1.500000"}],
        "evidence": {
            "min_scores": 40,
            "confidence": 0.95,
            "quality_margin": 0.25,
            "min_saving": 0.2,
            "max_failure_excess": 0.05,
            "auto": "canary",
            "canary_share": 0.1,
        },
        "canary": {"model": "quality", "share": 0.05},
        "notes": "short mails",
    }


def test_what_a_document_leaves_out_is_strict() -> None:
    """A route without a sensitivity is confidential: nothing leaves by an omission."""
    assert route_from("x", {"preferred_model": "m"}) == Route(task_type="x", preferred_model="m")
    assert Route(task_type="x", preferred_model="m").sensitivity is Sensitivity.CONFIDENTIAL


def test_a_field_of_a_newer_junto_is_passed_over() -> None:
    route = route_from("x", {"preferred_model": "m", "sensitivity": "public", "colour": "red", "sampling": {"new": 1}})
    assert route == Route(task_type="x", preferred_model="m", sensitivity=Sensitivity.PUBLIC)


@given(
    st.builds(
        Route,
        task_type=st.just("t"),
        preferred_model=st.text(min_size=1),
        fallback_model=st.none() | st.text(min_size=1),
        sensitivity=st.sampled_from(list(Sensitivity)),
        max_tokens=st.none() | st.integers(1, 10**6),
        sampling=st.none()
        | st.builds(
            Sampling,
            temperature=st.floats(0, 2),
            seed=st.none() | st.integers(0, 2**31),
            stop=st.lists(st.text(min_size=1)).map(tuple),
        ),
        shadow_models=st.lists(
            st.builds(
                ShadowModel,
                model=st.text(min_size=1),
                rate=st.floats(0.001, 1),
                daily_cap_nano=st.none() | st.integers(0, 10**15),
            )
        ).map(tuple),
        evidence=st.none()
        | st.builds(
            EvidenceGate,
            min_scores=st.integers(5, 1000),
            confidence=st.floats(0.5, 0.99),
            quality_margin=st.floats(-4, 4),
            min_saving=st.floats(-100, 1),
            max_failure_excess=st.floats(0, 1),
            auto=st.sampled_from(Auto),
            canary_share=st.floats(0.001, 1),
        ),
        canary=st.none() | st.builds(Canary, model=st.text(min_size=1), share=st.floats(0.001, 1)),
        notes=st.text(),
        version=st.integers(1, 100),
    )
)
def test_a_route_survives_its_document(route: Route) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(document_of(route)))
    assert route_from("t", stored, version=route.version) == route


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", "-a", "a\n", "ä", "x" * 101, "a\0"])
def test_a_task_type_is_a_plain_word(name: str) -> None:
    with pytest.raises(InvalidField):
        check_task_type(name)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"preferred_model": "task/other"}, "preferred_model"),
        ({"preferred_model": "auto"}, "preferred_model"),
        ({"fallback_model": "auto:latest"}, "fallback_model"),
        ({"shadow_models": (ShadowModel(model="task/x", rate=1),)}, "shadow_models"),
        ({"shadow_models": (ShadowModel(model="m", rate=1), ShadowModel(model="m", rate=0.5))}, "shadow_models"),
    ],
)
def test_a_route_leads_to_models_and_not_in_circles(changes: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_route(msgspec.structs.replace(FULL, **changes))
    assert refused.value.param == param
    assert check_route(FULL) is FULL


def test_a_route_names_its_models_once_each() -> None:
    assert FULL.names == ("fast", "quality")


@pytest.mark.parametrize(
    ("model", "task"), [("task/a", "a"), ("task/a:latest", "a"), ("auto", ""), ("auto:latest", ""), ("fast", None)]
)
def test_some_names_of_models_name_tasks(model: str, task: str | None) -> None:
    assert task_of(model) == task
