"""The log of a conversation's latest events: what was missed is there in order, or it says that it is not."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as some

from junto.channels.webchat_log import MOST_EVENTS, Event, EventLog, merged


def texts(events: list[Event] | None) -> list[tuple[int, str]]:
    assert events is not None
    return [(event.number, event.fields["text"]) for event in events]


def test_events_are_numbered_from_one() -> None:
    log = EventLog("l")
    log.add("accepted", id="a", text="hi")
    log.add("accepted", id="b", text="ho")
    assert texts(log.since(0)) == [(1, "hi"), (2, "ho")]
    assert texts(log.since(1)) == [(2, "ho")]
    assert log.since(2) == []


@pytest.mark.parametrize("number", [-1, 1, 99])
def test_a_number_that_never_was_is_not_gone_on_from(number: int) -> None:
    assert EventLog("l").since(number) is None


def test_deltas_that_follow_upon_each_other_are_one() -> None:
    log = EventLog("l")
    for offset, text in ((0, "He"), (2, "llo"), (5, "!")):
        log.add("delta", id="a", offset=offset, text=text)
    log.add("delta", id="b", offset=0, text="Other")
    log.add("delta", id="a", offset=0, text="Again")  # begun anew
    assert texts(log.since(0)) == [(3, "Hello!"), (4, "Other"), (5, "Again")]
    assert texts(log.since(2)) == [(3, "!"), (4, "Other"), (5, "Again")]


def test_a_reply_stands_for_its_pieces() -> None:
    log = EventLog("l")
    log.add("accepted", id="a", text="hi")
    log.add("typing", id="a")
    log.add("delta", id="a", offset=0, text="Hel")
    log.add("delta", id="b", offset=0, text="other")
    log.add("reply", id="a", text="Hello")
    assert [event.type for event in log.since(1) or ()] == ["delta", "reply"]
    assert [event.type for event in log.since(3) or ()] == ["delta", "reply"]
    assert texts(log.since(4)) == [(5, "Hello")]


@pytest.mark.parametrize(("text", "events"), [("x", MOST_EVENTS + 10), ("x" * 10_000, 100)])
def test_what_is_forgotten_is_not_passed_over_in_silence(text: str, events: int) -> None:
    log = EventLog("l")
    for number in range(events):
        log.add("accepted", id=str(number), text=text)
    assert log.since(0) is None
    assert len(log.since(log.last - 5) or ()) == 5


def test_who_watches_is_woken() -> None:
    log, wake = EventLog("l"), asyncio.Event()
    log.watch(wake)
    log.add("accepted", id="a", text="hi")
    assert wake.is_set()
    wake.clear()
    log.unwatch(wake)
    log.add("accepted", id="b", text="hi")
    assert not wake.is_set()


@given(some.lists(some.text(min_size=1, max_size=5), max_size=30), some.data())
def test_wherever_one_was_cut_off_the_text_is_whole_and_nothing_of_it_twice(
    pieces: list[str], data: some.DataObject
) -> None:
    log, offset = EventLog("l"), 0
    for piece in pieces:
        log.add("delta", id="a", offset=offset, text=piece)
        offset += len(piece)
    cut = data.draw(some.integers(0, len(pieces)))
    rest = log.since(cut)
    assert rest is not None
    assert "".join(pieces[:cut]) + "".join(event.fields["text"] for event in rest) == "".join(pieces)


def test_nothing_merged_is_nothing() -> None:
    assert merged([]) == []
