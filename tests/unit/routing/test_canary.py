"""A canary answers its share of a route's requests, chosen by their ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.errors import InvalidField
from junto.core.sensitivity import Sensitivity
from junto.routing.evidence import Auto, Canary, EvidenceGate, gate_from
from junto.routing.route_table import RouteTable, apply
from junto.routing.routes import Route, check_route

ROUTE = Route(
    task_type="mail",
    preferred_model="dear",
    fallback_model="spare",
    sensitivity=Sensitivity.INTERNAL,
    canary=Canary(model="cheap", share=0.25),
    version=3,
)
TABLE = RouteTable.of([ROUTE])


def test_a_canary_answers_its_share_of_the_requests_and_no_more() -> None:
    taken = sum(ROUTE.canary.takes("mail", f"req_{number}") for number in range(20_000)) if ROUTE.canary else 0
    assert taken / 20_000 == pytest.approx(0.25, abs=0.01)  # three standard deviations


@given(st.text(min_size=1), st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_larger_share_takes_in_a_smaller_one(key: str, one: float, other: float) -> None:
    small, large = Canary(model="m", share=min(one, other)), Canary(model="m", share=max(one, other))
    assert large.takes("t", key) or not small.takes("t", key)


@given(st.text())
def test_a_whole_share_takes_every_request(key: str) -> None:
    assert Canary(model="m", share=1).takes("t", key)


def test_two_routes_do_not_take_the_same_requests() -> None:
    canary = Canary(model="cheap", share=0.5)
    keys = [f"req_{number}" for number in range(200)]
    assert [canary.takes("a", key) for key in keys] != [canary.takes("b", key) for key in keys]


@given(st.text(min_size=1))
def test_a_request_of_the_canary_falls_back_to_the_model_that_was_meant_and_then_as_ever(key: str) -> None:
    routed = apply(TABLE, "task/mail", "", key)
    assert routed is not None
    if routed.is_canary:
        assert (routed.model, routed.fallback, routed.spare) == ("cheap", "dear", "spare")
    else:
        assert (routed.model, routed.fallback, routed.spare) == ("dear", "spare", None)
    assert (routed.floor, routed.label) == (Sensitivity.INTERNAL, "mail@3")
    assert apply(TABLE, "task/mail", "", key) == routed


def test_without_an_id_there_is_no_canary() -> None:
    routed = apply(TABLE, "task/mail", "")
    assert routed is not None
    assert not routed.is_canary


@given(st.text(min_size=1))
def test_whoever_names_a_model_gets_it_and_no_canary(key: str) -> None:
    routed = apply(TABLE, "mine", "mail", key)
    assert routed is not None
    assert (routed.model, routed.keeps_model, routed.is_canary) == ("mine", True, False)


@pytest.mark.parametrize("model", ["dear", "task/other", "auto"])
def test_a_canary_is_another_model_and_no_task(model: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_route(Route(task_type="mail", preferred_model="dear", canary=Canary(model=model, share=0.5)))
    assert refused.value.param == "canary"


def test_what_a_gate_leaves_out_is_the_default_and_nothing_goes_by_itself() -> None:
    assert gate_from({"min_scores": 50, "auto": None}) == EvidenceGate(min_scores=50)
    assert EvidenceGate().auto is Auto.OFF
    assert Route(task_type="t", preferred_model="m").gate == EvidenceGate()
