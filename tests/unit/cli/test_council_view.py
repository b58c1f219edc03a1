"""How a council looks, from recorded answers of Junto: on a terminal at each step, and as lines in a pipe."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from junto.cli.council_state import Sitting, Status, after, ended, opinion_in
from junto.cli.council_view import answer_of, closing, frame, line_of, shortened, summary

if TYPE_CHECKING:
    from rich.console import RenderableType

CLOUDY = "Cloudy is left out: No deployment of 'far/gpt-test' may see confidential content."
RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]


def sitting_after(chunks: list[dict[str, Any]]) -> Sitting:
    """Each chunk comes a second after the one before."""
    now = iter(range(1, 1_000))
    return reduce(lambda sitting, chunk: after(sitting, chunk, float(next(now))), chunks, Sitting(started=0.0))


def up_to(chunks: list[dict[str, Any]], event: str, count: int = 1) -> list[dict[str, Any]]:
    """The chunks until that event was there so many times."""
    places = [place for place, chunk in enumerate(chunks) if chunk.get("council", {}).get("event") == event]
    return chunks[: places[count - 1] + 1]


def drawn(renderable: RenderableType, width: int = 100, *, colours: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=colours, color_system="standard" if colours else None)
    console.print(renderable)
    return file.getvalue()


def lines(sitting: Sitting, now: float = 60.0, width: int = 100, height: int = 30) -> list[str]:
    shown = drawn(frame(sitting, now=now, width=width, height=height), width)
    return [" ".join(line.split()) for line in shown.splitlines()]


def row(sitting: Sitting, name: str, **size: Any) -> str:
    return next(line for line in lines(sitting, **size) if line.startswith(f"{name} "))


def test_before_anybody_was_heard_all_wait() -> None:
    sitting = sitting_after(up_to(recorded("debate"), "convened"))
    assert lines(sitting)[0].startswith("council/debate · convened · ")
    assert row(sitting, "Proponent") == "Proponent quality - waiting - - -"
    assert row(sitting, "Judge") == "Judge (chair) - - waiting - - -"


def test_who_speaks_is_seen_with_where_and_for_how_long() -> None:
    chunks = up_to(recorded("debate"), "round")
    sitting = sitting_after(chunks)
    assert lines(sitting)[0].startswith("council/debate · round 1 of 2 · 60.0 s")
    assert row(sitting, "Opponent", now=len(chunks) + 4.0) == "Opponent gpt-test two ⠦ speaking 4.0 s - -"


def test_an_opinion_is_shown_shortened_with_what_it_took() -> None:
    sitting = sitting_after(up_to(recorded("debate"), "said", 2))
    said = {one.name: one for one in sitting.seats}["Opponent"]
    assert (said.status, said.opinion) == (Status.SAID, "Keep it: it *knows* eleven countries.")
    assert f"{said.tokens:,}" in row(sitting, "Opponent")
    assert "Opponent: Keep it: it *knows* eleven countries." in lines(sitting)


def test_figures_of_all_rounds_are_added() -> None:
    chunks = recorded("debate")
    said = [chunk["council"] for chunk in up_to(chunks, "synthesis") if chunk.get("council", {}).get("event") == "said"]
    sitting = sitting_after(up_to(chunks, "synthesis"))
    assert sitting.tokens == sum(one["tokens"] for one in said)
    assert len(said) == 4


def test_the_synthesis_takes_the_place_of_the_opinions_while_it_grows() -> None:
    chunks = recorded("debate")
    growing = sitting_after([*up_to(chunks, "synthesis"), {"choices": [{"delta": {"content": "# Answer\n- one"}}]}])
    assert "⠋ writing" in row(growing, "Judge")
    assert not any(line.startswith("opinions") for line in lines(growing))
    assert lines(growing)[-1] == "• one"


def test_at_the_end_the_account_of_junto_counts() -> None:
    chunks = recorded("debate")
    report = chunks[-1]["council"]
    sitting = ended(sitting_after(chunks), 12.0)
    assert (sitting.tokens, sitting.cost) == (report["usage"]["total_tokens"], Decimal(report["cost_usd"]))
    assert row(sitting, "Judge").split()[2:5] == ["gpt-test", "one", "said"]
    assert sitting.answer.startswith("## Answer\nCarve out the ledger.")
    assert summary(sitting).startswith("council/debate · 2 of 2 members heard, quorum of 2 met · ")
    assert summary(sitting).endswith(" · $0 · 12.0 s")
    assert [style for _, style in closing(sitting)] == ["dim"]
    assert not any(line.startswith(("opinions", "synthesis")) for line in lines(sitting))


def test_who_is_missing_is_named_with_the_reason() -> None:
    sitting = ended(sitting_after(recorded("degraded")), 9.0)
    statuses = {one.name: one.status for one in sitting.seats}
    assert (statuses["Opponent"], statuses["Cloudy"]) == (Status.MISSING, Status.LEFT_OUT)
    shown = lines(sitting)
    assert CLOUDY in shown
    told = [line for line, _ in closing(sitting)]
    assert told[0].startswith("Degraded. Missing: Cloudy was left out: ")
    assert "2 of 3 members heard, quorum of 2 met" in told[1]


def test_left_out_members_are_told_before_anybody_speaks() -> None:
    sitting = sitting_after(up_to(recorded("degraded"), "convened"))
    assert CLOUDY in lines(sitting)


def test_the_view_fits_the_screen_whatever_was_said() -> None:
    """However small the screen and however long the texts, at most the seats and a few lines more."""
    chunks = up_to(recorded("debate"), "said", 2)
    for chunk in chunks:
        for choice in chunk["choices"]:
            if "### " in choice["delta"].get("reasoning_content", ""):
                choice["delta"]["reasoning_content"] += "word " * 5_000
    talking = sitting_after(chunks)
    writing = sitting_after([*chunks, {"choices": [{"delta": {"content": "- point\n" * 5_000}}]}])
    for sitting in (talking, writing):
        for height in (16, 24, 50):
            assert len(lines(sitting, height=height)) < height
    assert lines(writing)[-1] == "• point"


@pytest.mark.parametrize(("width", "columns"), [(100, 7), (70, 5), (50, 4), (40, 3)])
def test_a_narrow_screen_has_fewer_columns(width: int, columns: int) -> None:
    sitting = sitting_after(up_to(recorded("debate"), "round"))
    heading = next(line for line in lines(sitting, width=width) if line.startswith("member"))
    assert len(heading.split()) == columns


def test_a_council_that_was_stopped_says_so() -> None:
    sitting = ended(sitting_after(up_to(recorded("debate"), "round")), 5.0, stopped=True)
    assert {one.status for one in sitting.seats} == {Status.STOPPED, Status.NOT_ASKED}
    assert summary(sitting).endswith("· stopped")
    assert lines(sitting)[0].startswith("council/debate · stopped · 5.0 s")


def test_steps_as_lines() -> None:
    sitting, told = Sitting(started=0.0), []
    for chunk in recorded("degraded"):
        sitting = after(sitting, chunk, 1.0)
        told.append(line_of(chunk.get("council", {}), sitting))
    assert [line for line in told if line] == [
        f"council/hall: Proponent (one/gpt-test), Opponent (two/gpt-test); 2 rounds, quorum 2; {CLOUDY}",
        "round 1 of 2",
        "Proponent (gpt-test on one) said: Rewrite it: nobody can test it.",
        "Opponent (gpt-test on two) said: Keep it: it *knows* eleven countries.",
        "round 2 of 2",
        "Proponent (gpt-test on one) said: Rewrite it: nobody can test it.",
        "Opponent is missing: All providers unavailable (two/gpt-test: server)",
        "synthesis by Judge (gpt-test on one)",
    ]


def test_ballots_lateness_and_waiting_as_lines() -> None:
    sitting = sitting_after(up_to(recorded("debate"), "said"))
    assert (
        line_of({"event": "waiting", "names": ["Ann", "Bob"], "seconds": 20}, sitting) == "waiting for Ann, Bob (20 s)"
    )
    assert line_of({"event": "missed", "name": "Ann", "late": True, "reason": "no"}, sitting) == "Ann is late: no"
    ballot = {"event": "said", "name": "Proponent", "role": "ballot", "tokens": 3}
    voted = after(sitting, {"council": ballot}, 9.0)
    assert line_of(ballot, voted).endswith(" ranked the others")
    assert voted.seats[0].opinion == sitting.seats[0].opinion


EVIL = "\x1b]8;;http://evil\x1b\\click\x1b[2J\r\x07\x9b31m [red]x[/red] &#27;[2J &#13;&#7; [ok](http://evil/\x1b[2J)"


def test_nothing_that_a_model_or_a_server_says_drives_the_terminal() -> None:
    """No control characters reach it, by no field; brackets are no markup, and a link is its address."""
    chunks: list[dict[str, Any]] = [
        {"council": {"event": "convened", "template": EVIL, "chair": EVIL, "rounds": 1, "members": [{"name": EVIL, "model": EVIL, "status": "left_out", "reason": EVIL}]}},
        {"council": {"event": "round", "round": 1, "asked": [{"name": EVIL, "model": EVIL, "backend": EVIL}]}},
        {"choices": [{"delta": {"reasoning_content": f"### {EVIL}\n\n{EVIL}"}}], "council": {"event": "said", "name": EVIL, "role": "opinion", "model": EVIL, "backend": EVIL}},
        {"council": {"event": "missed", "name": EVIL, "role": "opinion", "reason": EVIL}},
        {"council": {"event": "waiting", "names": [EVIL], "seconds": EVIL}},
    ]  # fmt: skip
    sitting, told = Sitting(started=0.0), []
    for chunk in chunks:
        sitting = after(sitting, chunk, 1.0)
        told += [line_of(chunk["council"], sitting), drawn(frame(sitting, now=2.0, width=200, height=40), 200)]
    for end in (
        {"choices": [{"delta": {"content": EVIL}}]},
        {"council": {"note": EVIL, "degraded": True, "quorum": {"heard": EVIL}}},
    ):
        sitting = after(sitting, end, 2.0)
        told.append(drawn(frame(sitting, now=2.0, width=200, height=40), 200))
    sitting = ended(sitting, 3.0, failure=EVIL)
    told += [drawn(answer_of(sitting.answer)), *(line for line, _ in closing(sitting))]
    controls = {char for text in told for char in text if ord(char) < 32 or 127 <= ord(char) < 160}
    assert controls == {"\n"}
    assert any("[red]x[/red]" in text for text in told)


def test_a_link_is_not_clickable_under_another_name() -> None:
    shown = drawn(answer_of("[bank](http://evil.example)"), colours=True)
    assert "\x1b]8" not in shown
    assert "evil.example" in shown


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "name",
        "role",
        "round",
        "model",
        "backend",
        "milliseconds",
        "cost_usd",
        "tokens",
        "reason",
        "late",
        "members",
        "asked",
        "names",
        "seconds",
        "chair",
        "rounds",
        "quorum",
        "usage",
        "template",
        "note",
        "missing",
        "degraded",
    ]
)
COUNCILS = st.dictionaries(FIELDS, ANYTHING, max_size=6)
EVENTS = st.sampled_from(["convened", "round", "ranking", "synthesis", "said", "missed", "waiting", "note", "other"])


@given(st.lists(st.tuples(st.none() | EVENTS, COUNCILS, ANYTHING), max_size=4))
def test_no_chunk_however_odd_breaks_the_view(news: list[tuple[str | None, dict[str, Any], Any]]) -> None:
    sitting = sitting_after(up_to(recorded("debate"), "convened"))
    for event, fields, choices in news:
        council = fields if event is None else {"event": event, **fields}
        sitting = after(sitting, {"council": council, "choices": choices}, 5.0)
        assert line_of(council, sitting) is not None
        assert drawn(frame(sitting, now=6.0, width=80, height=20), 80)
    assert list(closing(ended(sitting, 7.0)))


def test_short_and_without_heading() -> None:
    assert shortened("a  b\nc") == "a b c"
    assert shortened("word " * 100, 10) == "word word…"
    assert opinion_in("### Ann (m)\n\nTea.\n") == "Tea."
    assert opinion_in("Tea.") == "Tea."
