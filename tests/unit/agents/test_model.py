"""What an agent and a message to it may hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.agents.model import (
    LONGEST,
    LONGEST_ID,
    LONGEST_MESSAGE,
    MOST_ATTACHMENTS,
    MOST_SLACK_CHANNELS,
    check_agent,
    check_changes,
    check_message,
    check_name,
    is_name,
)
from junto.core.errors import BodyTooLarge, InvalidField
from junto.ports.agents import (
    Agent,
    AgentChanges,
    Attachment,
    Channel,
    ChannelMessage,
    Channels,
    SlackChannel,
    WebChannel,
)

ADA = Agent(id="agt_1", tenant_id="default", name="ada")
HELLO = ChannelMessage(
    tenant_id="default", agent="ada", channel=Channel.API, thread="t", message_id="m", sender="", text="Hello?"
)


def agent(**fields: Any) -> Agent:
    return msgspec.structs.replace(ADA, **fields)


def message(**fields: Any) -> ChannelMessage:
    return msgspec.structs.replace(HELLO, **fields)


@pytest.mark.parametrize("name", ["a", "front-desk", "007", "a" * 64, "-"])
def test_a_name_is_small_letters_digits_and_dashes(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "Ada", "a b", "a/b", "a" * 65, "ädä", "a\n", "a\0", "council:a", "\u0661"])
def test_any_other_name_is_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(InvalidField) as refused:
        check_name(name)
    assert refused.value.param == "name"


@given(st.text(max_size=80))
def test_whatever_a_name_is_made_of_it_is_taken_or_refused_by_its_field(name: str) -> None:
    if is_name(name):
        assert name.isascii()
        assert 1 <= len(name) <= 64
    else:
        with pytest.raises(InvalidField):
            check_agent(agent(name=name))


def test_the_smallest_and_the_largest_agent_are_taken() -> None:
    assert check_agent(ADA) is ADA
    largest = {field: "a" * most for field, most in LONGEST.items()}
    ids = tuple(f"C{number}" for number in range(MOST_SLACK_CHANNELS))
    channels = Channels(
        web=WebChannel(enabled=True, visitors=True),
        slack=SlackChannel(enabled=True, team="T0123", app="A0123", channels=ids),
    )
    check_agent(agent(**largest, retention_days=3650, channels=channels))


@pytest.mark.parametrize("field", LONGEST)
def test_a_text_that_is_too_long_is_refused(field: str) -> None:
    with pytest.raises(InvalidField, match=field) as refused:
        check_agent(agent(**{field: "a" * (LONGEST[field] + 1)}))
    assert refused.value.param == field


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"persona": "a\0b"}, "persona"),
        ({"persona": "a\x1b[31m"}, "persona"),
        ({"instructions": "half \ud83d"}, "instructions"),
        ({"display_name": "two\nlines"}, "display_name"),
        ({"model": "agent/ada"}, "model"),
        ({"model": "  "}, "model"),
        ({"model": ""}, "model"),
        ({"retention_days": 0}, "retention_days"),
        ({"retention_days": 3651}, "retention_days"),
        ({"channels": Channels(web=WebChannel(visitors=True))}, "channels.web.visitors"),
        ({"channels": Channels(slack=SlackChannel(team="t1"))}, "channels.slack.team"),
        ({"channels": Channels(slack=SlackChannel(app="A 1"))}, "channels.slack.app"),
        ({"channels": Channels(slack=SlackChannel(channels=("",)))}, "channels.slack.channels"),
        ({"channels": Channels(slack=SlackChannel(channels=("C1",) * 101))}, "channels.slack.channels"),
    ],
)
def test_what_no_agent_may_have_is_refused_by_its_field_in_a_new_one_and_in_a_change(
    fields: dict[str, Any], param: str
) -> None:
    changed = dict(fields)
    channels = changed.pop("channels", None)
    if channels is not None:
        changed |= {"web": channels.web, "slack": channels.slack}
    for check in (lambda: check_agent(agent(**fields)), lambda: check_changes(AgentChanges(**changed))):
        with pytest.raises(InvalidField) as refused:
            check()
        assert refused.value.param == param


def test_lines_are_no_control_characters_where_there_may_be_several() -> None:
    check_agent(agent(persona="Warm.\n\tBrief.", instructions="# Hours\r\n10 to 18", role="a\nb"))


def test_a_change_of_nothing_is_one() -> None:
    assert check_changes(AgentChanges()) == AgentChanges()
    assert AgentChanges().applied_to(ADA) == ADA


def test_a_change_of_one_channel_leaves_the_other() -> None:
    before = agent(persona="Warm.", channels=Channels(web=WebChannel(enabled=True)))
    after = AgentChanges(slack=SlackChannel(enabled=True), retention_days=None, role="clerk").applied_to(before)
    assert after.channels == Channels(web=WebChannel(enabled=True), slack=SlackChannel(enabled=True))
    assert (after.persona, after.role, after.name) == ("Warm.", "clerk", "ada")


def test_a_council_may_answer_for_an_agent() -> None:
    check_agent(agent(model="council/debate"))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": "a" * LONGEST_MESSAGE},
        {"text": "", "attachments": (Attachment(name="plan.pdf"),)},
        {"text": "Zeile\n\x1b", "sender": "U1"},
        {"thread": "t" * LONGEST_ID},
        {"attachments": (Attachment(name="a", url="https://x.example"),) * MOST_ATTACHMENTS},
    ],
)
def test_a_message_that_may_be_accepted_is(fields: dict[str, Any]) -> None:
    checked = message(**fields)
    assert check_message(checked) is checked


@pytest.mark.parametrize(
    ("fields", "param", "error"),
    [
        ({"text": " \n"}, "text", InvalidField),
        ({"text": "a" * (LONGEST_MESSAGE + 1)}, "text", BodyTooLarge),
        ({"text": "a\0b"}, "text", InvalidField),
        ({"text": "half \ud83d"}, "text", InvalidField),
        ({"thread": ""}, "thread", InvalidField),
        ({"message_id": ""}, "message_id", InvalidField),
        ({"message_id": "m" * (LONGEST_ID + 1)}, "message_id", InvalidField),
        ({"sender": "U\n1"}, "sender", InvalidField),
        ({"attachments": (Attachment(name="a"),) * (MOST_ATTACHMENTS + 1)}, "attachments", BodyTooLarge),
        ({"attachments": (Attachment(name="a" * 256),)}, "attachments", InvalidField),
        ({"attachments": (Attachment(name="a", url="h" * 2001),)}, "attachments", InvalidField),
    ],
)
def test_a_message_that_no_agent_takes_is_refused_by_its_field(
    fields: dict[str, Any], param: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        check_message(message(**fields))
    assert getattr(refused.value, "param", "") == param
