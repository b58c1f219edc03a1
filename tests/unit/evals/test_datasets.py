"""The rows of data sets: what scores and verdicts come to, and the shapes that TRL's trainers read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.evals.datasets import (
    Preference,
    Scored,
    by_scores,
    preference_row,
    preferred,
    scored,
    sft_row,
    whole_groups,
)
from junto.ports.datasets import ScoreRow, VerdictRow
from junto.ports.scores import Winner
from junto.ports.subjects import Said, Subject, SubjectFacts, SubjectKind


def subject(id: str, kind: SubjectKind = SubjectKind.EXCHANGE) -> Subject:
    return Subject("default", kind, id)


def facts(answer: str = "Paris.", *messages: tuple[str, str], **more: Any) -> SubjectFacts:
    said = messages or (("system", "Be brief."), ("user", "Capital of France?"))
    standing: dict[str, Any] = {
        "subject": subject("a"),
        "task_type": "geo",
        "model": "m",
        "client_id": "c",
        "sensitivity": "internal",
        "started_ms": 0,
        "answered": True,
        "has_text": True,
        "messages": tuple(Said(role, text) for role, text in said),
        "answer": answer,
    }
    return SubjectFacts(**{**standing, **more})


def score_of(id: str, score: int, number: str = "1") -> ScoreRow:
    return ScoreRow(subject(id), 0, number, score)


def verdict_on(first: str, second: str, winner: str, number: str = "1") -> VerdictRow:
    return VerdictRow(subject(first), subject(second), 0, number, Winner(winner))


def is_conversation(messages: object) -> bool:
    """Whether TRL takes it for a conversation: dictionaries of a role and a content, both text."""
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(
            set(one) == {"role", "content"} and isinstance(one["content"], str) and one["role"] in ROLES
            for one in messages
        )
    )


ROLES = {"system", "user", "assistant"}


def test_a_row_of_fine_tuning_is_a_conversation_that_ends_with_the_answer() -> None:
    row = sft_row(facts())
    assert row == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Capital of France?"},
            {"role": "assistant", "content": "Paris."},
        ]
    }
    assert is_conversation(row["messages"])


def test_a_row_of_preferences_is_a_prompt_with_both_answers() -> None:
    row = preference_row(facts("Paris."), facts("Lyon."))
    assert row is not None
    assert set(row) == {"prompt", "chosen", "rejected"}
    assert all(is_conversation(messages) for messages in row.values())
    assert row["prompt"][-1]["role"] == "user"
    assert (row["chosen"], row["rejected"]) == (
        [{"role": "assistant", "content": "Paris."}],
        [{"role": "assistant", "content": "Lyon."}],
    )


@pytest.mark.parametrize(
    "useless",
    [
        facts(has_text=False),
        facts(is_plain=False),
        facts(answered=False),
        facts(" \n"),
        facts("x", ("system", "Be brief.")),
        facts("x", ("user", "x"), ("tool", "42")),
    ],
)
def test_what_text_alone_does_not_tell_is_no_row(useless: SubjectFacts) -> None:
    assert sft_row(useless) is None
    assert preference_row(useless, facts()) is None
    assert preference_row(facts(), useless) is None


def test_answers_to_different_questions_and_the_same_answer_twice_prefer_nothing() -> None:
    assert preference_row(facts(), facts("Rome.", ("user", "Capital of Italy?"))) is None
    assert preference_row(facts("Paris."), facts(" Paris.\n")) is None


def test_a_shadow_tells_what_its_job_was_asked_with_the_template_that_the_job_does_not_keep() -> None:
    job = facts("Paris.", ("user", "Capital of France?"), subject=subject("job_1", SubjectKind.JOB))
    shadow = facts("Lyon.", subject=subject("sh_1", SubjectKind.SHADOW), source=job.subject)
    other = facts("Nice.", subject=subject("sh_2", SubjectKind.SHADOW), source=job.subject)
    rows = [preference_row(job, shadow), preference_row(shadow, job), preference_row(shadow, other)]
    assert [row and [said["role"] for said in row["prompt"]] for row in rows] == [["system", "user"]] * 3


def test_a_subject_is_scored_by_the_mean_of_its_scores() -> None:
    rows = [score_of("a", 5), score_of("a", 2, "2"), score_of("b", 4)]
    assert scored(rows) == [Scored(subject("a"), 3.5), Scored(subject("b"), 4.0)]


def test_verdicts_on_a_pair_count_together_and_ties_are_out() -> None:
    rows = [
        verdict_on("a", "b", "first"),
        verdict_on("a", "b", "tie", "2"),
        verdict_on("c", "d", "second"),
        verdict_on("e", "f", "tie"),
        verdict_on("g", "h", "first"),
        verdict_on("g", "h", "second", "2"),
    ]
    assert preferred(rows) == [Preference(subject("a"), subject("b")), Preference(subject("d"), subject("c"))]


@pytest.mark.parametrize(("first", "second", "better"), [(4.0, 3.0, "a"), (1.0, 5.0, "b"), (4.5, 3.6, ""), (3, 3, "")])
def test_scores_prefer_where_they_differ_by_a_point(first: float, second: float, better: str) -> None:
    found = by_scores(Scored(subject("a"), first), Scored(subject("b"), second))
    assert (found.chosen.id if found else "") == better


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 5)), max_size=40), st.integers(5, 12))
def test_pages_make_of_each_subject_one_row_whatever_their_size(found: list[tuple[str, int]], size: int) -> None:
    """As long as no subject has more scores than a page has room for."""
    counts = {id: 0 for id, _ in found}
    rows: list[ScoreRow] = []
    for at, (id, score) in enumerate(sorted(found)):
        counts[id] += 1
        if counts[id] < size:
            rows.append(score_of(id, score, str(at)))
    paged: list[Scored] = []
    start = 0
    while start < len(rows) or not rows:
        page = rows[start : start + size]
        taken = whole_groups(page, is_last=len(page) < size)
        paged += scored(taken)
        start += len(taken)
        if len(page) < size:
            break
    assert paged == scored(rows)
