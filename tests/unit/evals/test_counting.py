"""What an exchange adds to the figures of models."""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.exchange import Attempted, ExchangeRecord, Outcome
from junto.evals.counting import SUMS, counted, is_part
from junto.evals.latency import bucket_of

NOON = 1_795_262_400_000  # 2026-11-21T12:00:00Z
DAY = "2026-11-21"


def record(id: str = "req_1", **changes: Any) -> ExchangeRecord:
    plain = ExchangeRecord(
        id=id,
        started_ms=NOON,
        wire="openai.chat",
        operation="chat",
        requested_model="fast",
        model="good",
        sensitivity="internal",
        task_type="mail",
        input_tokens=10,
        cache_read_tokens=5,
        cache_write_tokens=1,
        output_tokens=7,
        cost_nano=100,
        duration_ms=250,
        attempts=(Attempted(backend="desk", model="good"),),
    )
    return msgspec.structs.replace(plain, **changes)


def sums(*records: ExchangeRecord) -> dict[tuple[str, str], dict[str, int]]:
    """By kind and model, of one task and day."""
    days, _ = counted(records)
    assert {key[:3] for key in days} <= {("mail", DAY, "default")}
    return {key[3:]: dict(zip(SUMS, values, strict=True)) for key, values in days.items()}


def test_an_answer_counts_with_its_time_its_tokens_and_its_cost() -> None:
    days, buckets = counted([record(), record("req_2")])
    key = ("mail", DAY, "default", "production", "good")
    assert days == {key: [2, 0, 2, 500, 32, 14, 200]}
    assert buckets == {(*key, bucket_of(250)): 2}


def test_after_a_fallback_the_failure_is_the_first_models_and_the_answer_the_seconds() -> None:
    tried = (Attempted(backend="desk", model="bad", failure="server"), Attempted(backend="desk", model="good"))
    found = sums(record(attempts=tried))
    assert (found["production", "bad"]["attempts"], found["production", "bad"]["failures"]) == (1, 1)
    assert found["production", "bad"]["answers"] == 0
    assert found["production", "good"]["answers"] == found["production", "good"]["attempts"] == 1


def test_what_never_reached_a_model_and_what_the_caller_broke_off_is_no_attempt() -> None:
    tried = tuple(
        Attempted(backend="desk", model="bad", failure=why)
        for why in ("cancelled", "queue_full", "not_local", "unsupported")
    )
    assert sums(record(model="", outcome=Outcome.ERROR, attempts=tried)) == {}


def test_what_was_paid_for_an_answer_that_was_broken_off_counts_and_nothing_else_of_it_does() -> None:
    broken = record(outcome=Outcome.CANCELLED, attempts=(Attempted(backend="d", model="good", failure="cancelled"),))
    assert sums(broken)["production", "good"] == dict.fromkeys(SUMS, 0) | {"cost_nano": 100}


def test_a_composed_answer_costs_what_its_parts_cost_and_they_are_not_counted_themselves() -> None:
    sitting = (Attempted(backend="council", model="council/debate"),)
    council = record("req_9", model="council/debate", cost_nano=0, parts_nano=900, attempts=sitting)
    members = [record(f"req_9.{number}", parent_id="req_9") for number in (1, 2)]
    found = sums(council, *members)
    assert list(found) == [("production", "council/debate")]
    assert found["production", "council/debate"]["cost_nano"] == 900


def test_a_shadow_counts_apart_and_the_members_of_a_shadow_not_at_all() -> None:
    shadow = record("req_s", purpose="shadow", parent_id="req_1")
    member = record("req_s.1", purpose="shadow", parent_id="req_s")
    assert is_part(member)
    assert not is_part(shadow)
    assert sums(shadow, member) == sums(shadow)
    assert list(sums(shadow)) == [("shadow", "good")]


def test_judges_are_not_counted() -> None:
    assert counted([record(purpose="judge", parent_id="req_1")]) == ({}, {})


def test_a_name_with_a_zero_in_it_counts_as_the_database_can_keep_it() -> None:
    days, _ = counted([record(task_type="ma\0il")])
    assert {key[0] for key in days} == {"ma\ufffdil"}
