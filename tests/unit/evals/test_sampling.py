"""Sampling is the same wherever it is asked, and its rate is exact over time."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.exchange import ExchangeRecord, Outcome
from junto.evals.sampling import is_eligible, is_sampled, route_of, sampled, source_of
from junto.routing.route_table import RouteTable
from junto.routing.routes import Route, ShadowModel

RECORD = ExchangeRecord(
    id="req_1", started_ms=1, wire="openai.chat", operation="chat", requested_model="task/mail", model="usual",
    sensitivity="public", task_type="mail", stream=False, outcome=Outcome.OK, status=200, duration_ms=1, request_body=b"{}",
    keep="full",
)  # fmt: skip
MANY = 20_000


def route(*shadows: ShadowModel, task_type: str = "mail") -> Route:
    return Route(task_type=task_type, preferred_model="usual", shadow_models=shadows)


@given(st.text(max_size=40), st.text(max_size=40), st.floats(0, 1))
def test_it_is_the_same_whenever_it_is_asked(source: str, model: str, rate: float) -> None:
    assert is_sampled(source, model, rate) == is_sampled(source, model, rate)


@given(st.text(max_size=40), st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_rate_samples_what_a_lower_one_does(source: str, model: str, one: float, other: float) -> None:
    if is_sampled(source, model, min(one, other)):
        assert is_sampled(source, model, max(one, other))


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_rate_of_one_is_everything_and_of_none_nothing(source: str, model: str) -> None:
    assert is_sampled(source, model, 1.0)
    assert not is_sampled(source, model, 0.0)


@given(st.floats(0.01, 0.99), st.integers(0, 10**9))
def test_of_many_sources_the_stated_share_is_sampled(rate: float, start: int) -> None:
    """Within five standard deviations, which chance alone leaves once in two million runs."""
    count = sum(is_sampled(f"req_{start + number:024x}", "rival", rate) for number in range(MANY // 10))
    assert abs(count - rate * MANY / 10) <= 5 * math.sqrt(rate * (1 - rate) * MANY / 10) + 1


def test_candidates_are_sampled_independently_of_each_other() -> None:
    both = sum(is_sampled(f"req_{n}", "a", 0.3) and is_sampled(f"req_{n}", "b", 0.3) for n in range(MANY))
    assert abs(both - 0.09 * MANY) <= 5 * math.sqrt(0.09 * 0.91 * MANY)


def test_a_callers_own_whole_chat_under_a_task_is_eligible() -> None:
    assert is_eligible(RECORD)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"task_type": ""},
        {"purpose": "shadow"},
        {"purpose": "judge"},
        {"parent_id": "req_0"},
        {"outcome": Outcome.ERROR},
        {"outcome": Outcome.CANCELLED},
        {"operation": "embed"},
        {"request_body": b""},
        {"truncated": True},
    ],
    ids=str,
)
def test_nothing_else_is(otherwise: dict[str, Any]) -> None:
    assert not is_eligible(msgspec.structs.replace(RECORD, **otherwise))


def test_the_attempts_of_a_job_are_one_source() -> None:
    assert source_of(RECORD) == ("exchange", "req_1")
    assert source_of(msgspec.structs.replace(RECORD, job_id="job_1")) == ("job", "job_1")


def test_a_task_without_a_route_goes_by_the_default_one() -> None:
    own, default = route(), route(task_type="default")
    table = RouteTable.of([own, default])
    assert route_of(table, "mail") is own
    assert route_of(table, "other") is default
    assert route_of(RouteTable.of([own]), "other") is None


def test_a_model_is_no_shadow_of_itself() -> None:
    both = route(ShadowModel(model="usual", rate=1.0), ShadowModel(model="rival", rate=1.0))
    assert [shadow.model for shadow in sampled(RECORD, both)] == ["rival"]
    assert sampled(RECORD, route()) == ()
