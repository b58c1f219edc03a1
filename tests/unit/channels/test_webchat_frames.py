"""Frames of the web chat: what is understood, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from junto.channels.webchat_frames import Resume, Said, parse_frame, ping, ready, refused
from junto.core.errors import JuntoError, MalformedBody, RateLimited


def test_a_message_and_a_resume_are_understood() -> None:
    assert parse_frame('{"type": "message", "id": "a-1_B", "text": "hello"}') == Said(id="a-1_B", text="hello")
    assert parse_frame('{"type": "resume", "last_event": 7, "log": "x"}') == Resume(last_event=7, log="x")
    assert parse_frame('{"type": "resume"}') == Resume()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"type": "message"}',
        '{"type": "message", "id": "a", "text": null}',
        '{"type": "message", "id": "", "text": "x"}',
        '{"type": "message", "id": "a/b", "text": "x"}',
        '{"type": "message", "id": "a\\nb", "text": "x"}',
        '{"type": "message", "id": "a\\n", "text": "x"}',
        json.dumps({"type": "message", "id": "a" * 65, "text": "x"}),
        '{"type": "message", "id": "a", "text": "x", "tenant": "acme"}',
        '{"type": "resume", "last_event": -1}',
        '{"type": "resume", "last_event": 1.5}',
        '{"type": "resume", "last_event": 99999999999999999999999}',
        '{"type": "close"}',
        '{"type": "message", "id": "a", "text": "\\ud800"}',
        "[" * 10_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MalformedBody):
        parse_frame(text)


@given(some.text())
def test_nonsense_is_refused_and_never_more_than_that(text: str) -> None:
    with pytest.raises(MalformedBody):
        parse_frame(text)


def test_frames_out_say_their_number_and_their_type() -> None:
    assert json.loads(ping(3)) == {"event": 3, "type": "ping"}
    agent = {"name": "ada", "title": "Ada"}
    assert json.loads(ready(2, "l", agent, None)) == {
        "event": 2, "type": "ready", "log": "l", "agent": agent, "resumed": True, "messages": [],
    }  # fmt: skip
    assert json.loads(ready(2, "l", agent, []))["resumed"] is False


def test_a_refusal_says_whether_to_come_again() -> None:
    assert json.loads(refused(1, "m", JuntoError("no"))) == {
        "event": 1, "type": "error", "id": "m", "code": "internal_error", "message": "no",
    }  # fmt: skip
    assert json.loads(refused(1, "m", RateLimited("slow", retry_after=2)))["retry_after"] == 2
