"""What of a conversation a model is shown: the newest turn always, as much before it as fits, the rest as a summary."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.agents.history import (
    LEAST_BUDGET,
    asked,
    budget_of,
    fold,
    kept_summary,
    shortened,
    shown,
    tokens_of,
    worded,
)
from junto.ports.agents import Attachment, Role, Turn

SYSTEM = "You are an AI."
TEXTS = st.text(max_size=400) | st.builds(lambda word, n: word * n, st.sampled_from(["a ", "ü", "漢", "👩"]), st.integers(1, 3000))  # fmt: skip
TEXT = st.tuples(st.integers(0, 10**6), TEXTS).map(lambda pair: f"<{pair[0]}>{pair[1]}")


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    """Turns with numbers that rise, the last one the user's."""
    number, turns = 0, []
    for _ in range(draw(st.integers(0, 14))):
        number += draw(st.integers(1, 3))
        role = draw(st.sampled_from(Role))
        turns.append(Turn(number=number, role=role, text=f"#{number}# {draw(TEXTS)}", sent_ms=0))
    return [*turns, Turn(number=number + 1, role=Role.USER, text=f"#{number + 1}# {draw(TEXTS)}", sent_ms=0)]


def said(role: Role, text: str, number: int, **more: Any) -> Turn:
    return Turn(number=number, role=role, text=text, sent_ms=0, **more)


def exchange(number: int, size: int = 0) -> list[Turn]:
    return [
        said(Role.USER, f"question {number}" + "q" * size, number * 2 - 1, message_id=f"m{number}"),
        said(Role.ASSISTANT, f"answer {number}" + "a" * size, number * 2, message_id=f"m{number}"),
    ]


@given(conversations(), st.text(max_size=3000), st.integers(-5, 3000))
def test_it_never_goes_over_the_budget(turns: list[Turn], summary: str, budget: int) -> None:
    system, *messages = shown(SYSTEM, summary, turns, budget)
    assert system == {"role": "system", "content": SYSTEM}
    assert sum(tokens_of(message["content"]) for message in messages) <= max(budget, LEAST_BUDGET)


@given(conversations(), st.text(max_size=3000), st.integers(64, 3000))
def test_the_newest_turn_is_there_and_the_order_is_kept(turns: list[Turn], summary: str, budget: int) -> None:
    messages = shown(SYSTEM, summary, turns, budget)[1:]
    text = "\n".join(message["content"] for message in messages)
    newest = turns[-1].number
    assert f"#{newest}#" in messages[-1]["content"]
    assert messages[0]["role"] == "user"
    assert messages[-1]["role"] == "user"
    places = [text.rfind(f"#{turn.number}#") for turn in turns]
    there = [place for place in places if place >= 0]
    assert there == sorted(there)
    roles = [message["role"] for message in messages]
    assert all(one != other for one, other in pairwise(roles))


@given(conversations(), st.text(max_size=300), st.integers(64, 2000))
def test_no_turn_is_both_in_the_summary_and_shown(turns: list[Turn], summary: str, budget: int) -> None:
    step = fold(summary, turns, budget)
    if step is None:
        return
    assert step.upto < turns[-1].number
    folded = [turn for turn in turns if turn.number <= step.upto]
    left = [turn for turn in turns if turn.number > step.upto]
    assert folded
    text = "\n".join(message["content"] for message in shown(SYSTEM, "notes", left, budget)[1:])
    assert not any(f"#{turn.number}#" in text for turn in folded)
    assert sum(tokens_of(message["content"]) for message in step.messages) <= max(budget, 64) + 250


@given(conversations(), st.text(max_size=300), st.integers(64, 2000))
def test_what_fits_is_not_summarised_and_is_shown_whole(turns: list[Turn], summary: str, budget: int) -> None:
    if fold(summary, turns, budget) is not None or len(turns) == 1:
        return
    cost = sum(tokens_of(worded(turn)) for turn in turns) + (tokens_of(summary) + 40 if summary else 0)
    if cost > budget or any(tokens_of(worded(turn)) > budget // 2 for turn in turns):
        return
    text = "\n".join(message["content"] for message in shown(SYSTEM, "", turns, budget)[1:])
    first = next((at for at, turn in enumerate(turns) if turn.role is Role.USER), len(turns) - 1)
    assert all(f"#{turn.number}#" in text for turn in turns[first:])


@given(TEXT, st.integers(1, 500))
def test_a_shortened_text_fits(text: str, tokens: int) -> None:
    short = shortened(text, tokens)
    assert len(short.encode()) <= tokens * 4
    assert short == text or len(text.encode()) > tokens * 4


def test_a_message_that_is_too_long_keeps_both_ends_and_says_so() -> None:
    short = shortened("BEGIN" + "x" * 10_000 + "END", 100)
    assert short.startswith("BEGIN")
    assert short.endswith("END")
    assert "10008 characters, shortened here" in short


def test_a_conversation_that_fits_is_shown_whole() -> None:
    turns = [*exchange(1), *exchange(2), said(Role.USER, "question 3", 5)]
    assert fold("", turns, 1000) is None
    assert [message["content"] for message in shown(SYSTEM, "", turns, 1000)] == [
        SYSTEM, "question 1", "answer 1", "question 2", "answer 2", "question 3"
    ]  # fmt: skip


def test_one_that_does_not_keeps_its_end_and_folds_its_beginning() -> None:
    turns = [*(turn for number in range(1, 11) for turn in exchange(number, 200)), said(Role.USER, "question 11", 21)]
    step = fold("They like tea.", turns, 600)
    assert step is not None
    assert 10 < step.upto < 20
    asked_for = step.messages[-1]["content"]
    assert "They like tea." in asked_for
    assert "question 1" in asked_for
    assert "question 11" not in asked_for
    assert 0 < step.max_tokens <= 512
    left = [turn for turn in turns if turn.number > step.upto]
    messages = shown(SYSTEM, "They drink tea.", left, 600)
    assert "They drink tea." in messages[1]["content"]
    assert messages[-1]["content"].endswith("question 11")


def test_without_a_summary_the_oldest_turns_are_left_out() -> None:
    turns = [*(turn for number in range(1, 11) for turn in exchange(number, 200)), said(Role.USER, "question 11", 21)]
    text = str(shown(SYSTEM, "", turns, 300))
    assert "question 11" in text
    assert "answer 10" in text
    assert "question 1q" not in text


def test_a_message_is_answered_from_what_was_before_it() -> None:
    """Also when the answer to the one before came after it, and a later message was written meanwhile."""
    turns = [
        said(Role.USER, "first", 1, message_id="m1"),
        said(Role.USER, "second", 2, message_id="m2"),
        said(Role.ASSISTANT, "to the first", 3, message_id="m1"),
        said(Role.USER, "third", 4, message_id="m3"),
        said(Role.ASSISTANT, "to the third", 5, message_id="m3"),
    ]
    assert [turn.text for turn in asked(turns, 2)] == ["first", "to the first", "second"]
    assert [turn.text for turn in asked(turns, 1)] == ["first"]


def test_replies_that_are_none_are_not_shown() -> None:
    turns = [
        said(Role.USER, "first", 1, message_id="m1"),
        said(Role.ASSISTANT, "Sorry.", 2, message_id="m1", fallback=True),
        said(Role.USER, "second", 3, message_id="m2"),
    ]
    messages = shown(SYSTEM, "", asked(turns, 3), 1000)
    assert [message["content"] for message in messages] == [SYSTEM, "first\n\nsecond"]


def test_attachments_are_named() -> None:
    turn = said(Role.USER, "look", 1, attachments=(Attachment(name="a.pdf", url="https://x/a"), Attachment(name="b")))
    assert worded(turn) == "look\n[Attached: a.pdf (https://x/a)]\n[Attached: b]"


@pytest.mark.parametrize(("context", "least", "most"), [(None, 5000, 6000), (512, 64, 400), (10, 64, 64), (10**6, 32_000, 32_000)])  # fmt: skip
def test_the_budget_follows_the_window(context: int | None, least: int, most: int) -> None:
    assert least <= budget_of(context, SYSTEM) <= most


def test_a_system_prompt_takes_from_it() -> None:
    assert budget_of(8192, "x" * 4000) == budget_of(8192, "") - 1000


def test_a_summary_is_kept_within_bounds() -> None:
    assert len(kept_summary("x" * 100_000)) <= 4096
