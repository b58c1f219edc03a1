"""What each kind of Slack request means: who speaks, what is ignored, and what Slack would not send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from junto.channels.slack_events import (
    LONGEST_CHALLENGE,
    Challenge,
    Ignored,
    Place,
    Said,
    parse_event,
    place_of,
)
from junto.core.errors import MalformedBody
from tests.upstreams.slack_emulator import APP, BOT, CHANNEL, DIRECT, PERSON, TEAM, direct, mention

TS = "1700000000.000100"


def parsed(envelope: Any) -> Said | Challenge | Ignored:
    return parse_event(json.dumps(envelope).encode())


def test_a_mention_is_somebody_who_speaks_and_begins_a_thread() -> None:
    assert parsed(mention("what is new?", TS)) == Said(
        id=f"{TEAM}/{CHANNEL}/{TS}",
        place=Place(TEAM, CHANNEL, TS),
        app=APP,
        user=PERSON,
        text="what is new?",
        sent_ms=1_700_000_000_000,
        is_direct=False,
    )


def test_a_mention_in_a_thread_belongs_to_that_thread() -> None:
    said = parsed(mention("and then?", "1700000005.500000", thread=TS))
    assert isinstance(said, Said)
    assert said.place == Place(TEAM, CHANNEL, TS)
    assert (said.id, said.sent_ms) == (f"{TEAM}/{CHANNEL}/1700000005.500000", 1_700_000_005_500)


def test_a_direct_message_needs_no_mention() -> None:
    said = parsed(direct("hello", TS))
    assert isinstance(said, Said)
    assert (said.text, said.place, said.is_direct) == ("hello", Place(TEAM, DIRECT, TS), True)


def test_a_retry_is_the_same_message_whatever_its_event() -> None:
    first, again = parsed(mention("x", TS, event_id="Ev1")), parsed(mention("x", TS, event_id="Ev2"))
    assert first == again


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast"])
def test_a_file_and_a_reply_to_the_whole_channel_are_said_too(subtype: str) -> None:
    said = parsed(direct("look", TS, subtype=subtype, files=[{"name": "pl\nan.pdf"}, {"title": "x"}, {}, 7]))
    assert isinstance(said, Said)
    assert said.files == ("plan.pdf", "x")


def test_a_file_without_words_is_said() -> None:
    assert isinstance(parsed(direct("", TS, subtype="file_share", files=[{"name": "plan.pdf"}])), Said)


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (mention("x", TS, bot_id="B1"), "a bot"),
        (mention("x", TS, bot_profile={"id": "B1"}), "a bot"),
        (direct("x", TS, subtype="bot_message"), "a bot"),
        (direct("x", TS, user=BOT), "a bot"),
        (direct("x", TS, user="USLACKBOT"), "a bot"),
        (direct("x", TS, subtype="message_changed", message={"text": "y"}), "an edit"),
        (direct("x", TS, subtype="message_deleted", hidden=True), "an edit"),
        (mention("x", TS, edited={"user": PERSON, "ts": TS}), "an edit"),
        (direct("x", TS, subtype="channel_join"), "not a message"),
        (direct("x", TS, subtype=["channel_join"]), "not a message"),
        (direct("x", TS, subtype={"a": 1}), "not a message"),
        (direct("x", TS, subtype="thread_invented_tomorrow"), "not a message"),
        (direct("x", TS, hidden=True), "not a message"),
        (direct("x", TS, channel_type="channel"), "neither a mention nor a direct message"),
        (direct("x", TS, channel_type="mpim"), "neither a mention nor a direct message"),
        (mention("x", TS, type="reaction_added"), "neither a mention nor a direct message"),
        (mention("x", TS, type=["app_mention"]), "neither a mention nor a direct message"),
        (mention("", TS), "empty"),
        (direct(" \n", TS), "empty"),
        (direct("x", TS, text=None), "empty"),
        (mention("x", "1700000000"), "incomplete"),
        (mention("x", "0.000000"), "incomplete"),
        (mention("x", TS, thread="yesterday"), "incomplete"),
        (mention("x", TS, channel=None), "incomplete"),
        (mention("x", TS, channel="C1/../x"), "incomplete"),
        (mention("x", TS, user=""), "incomplete"),
        (mention("x", TS) | {"team_id": 7}, "incomplete"),
        (mention("x", TS) | {"event": []}, "no event"),
        ({"type": "app_rate_limited", "minute_rate_limited": 1_518_467_820}, "app_rate_limited"),
        ({"type": "block_actions"}, "unknown type"),
        ({}, "unknown type"),
    ],
)
def test_what_nobody_has_said_to_the_app_is_ignored(envelope: Any, reason: str) -> None:
    assert parsed(envelope) == Ignored(reason)


@pytest.mark.parametrize("authorizations", [None, [], {}, [7], [{"is_bot": False, "user_id": BOT}]])
def test_a_mention_is_read_where_slack_does_not_say_who_the_bot_is(authorizations: Any) -> None:
    said = parsed(mention("hello", TS) | {"authorizations": authorizations})
    assert isinstance(said, Said)
    assert said.text == "hello"


def test_the_question_whose_address_this_is_is_a_challenge() -> None:
    assert parsed({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"}) == Challenge("3eZbrw1a")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff",
        b"[" * 100_000,
        b'{"type": "url_verification"}',
        b'{"type": "url_verification", "challenge": ""}',
        b'{"type": "url_verification", "challenge": 7}',
        b'{"type": "url_verification", "challenge": "%b"}' % (b"x" * (LONGEST_CHALLENGE + 1)),
    ],
)
def test_what_slack_does_not_send_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_event(body)


def test_a_place_is_found_again_by_its_key() -> None:
    place = Place(TEAM, CHANNEL, TS)
    assert place_of(place.key) == place


@pytest.mark.parametrize("key", ["", "T1", "T1/C1", "T1/C1/x", f"T1/c1/{TS}", f"T1/C1/{TS}/", f"/C1/{TS}"])
def test_what_is_no_key_names_no_place(key: str) -> None:
    assert place_of(key) is None
