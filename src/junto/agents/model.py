"""What an agent and a message to it may hold: bounds and checks, nothing is looked up here.

The values themselves are in ports/agents.py, because storage keeps them; they can be had from here too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from junto.core.errors import BodyTooLarge, InvalidField
from junto.ports.agents import (
    Accepted,
    Agent,
    AgentChanges,
    Attachment,
    Channel,
    ChannelMessage,
    Channels,
    Conversation,
    History,
    InboxEntry,
    Role,
    SlackChannel,
    Turn,
    WebChannel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AGENT_PREFIX",
    "LONGEST",
    "Accepted",
    "Agent",
    "AgentChanges",
    "Attachment",
    "Channel",
    "ChannelMessage",
    "Channels",
    "Conversation",
    "History",
    "InboxEntry",
    "Role",
    "SlackChannel",
    "Turn",
    "WebChannel",
    "check_agent",
    "check_changes",
    "check_message",
    "check_name",
    "is_name",
]

AGENT_PREFIX: Final = "agent/"
LONGEST: Final[Mapping[str, int]] = {  # characters
    "display_name": 100,
    "role": 500,
    "persona": 8_000,
    "instructions": 32_000,
    "model": 300,
}
LONGEST_MESSAGE: Final = 32_000  # characters
LONGEST_ID: Final = 200  # of a thread, a sender, a message
MOST_ATTACHMENTS: Final = 20
LONGEST_ATTACHMENT_NAME: Final = 255
LONGEST_URL: Final = 2_000
MOST_SLACK_CHANNELS: Final = 100
LONGEST_RETENTION_DAYS: Final = 3_650

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_SLACK_ID = re.compile(r"[A-Z0-9]{0,32}")
_ONE_LINE: Final = ("display_name", "model")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SHOWN = 100


def is_name(name: str) -> bool:
    """Whether an agent may be called that."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """The name if an agent may have it; raises InvalidField."""
    if not is_name(name):
        raise InvalidField(
            f"{name[:_SHOWN]!r} is no name of an agent: small letters, digits and -, at most 64 of them.", param="name"
        )
    return name


def check_agent(agent: Agent) -> Agent:
    """The agent if it may be stored; raises InvalidField, which names the field."""
    check_name(agent.name)
    check_changes(
        AgentChanges(
            display_name=agent.display_name,
            role=agent.role,
            persona=agent.persona,
            instructions=agent.instructions,
            model=agent.model,
            web=agent.channels.web,
            slack=agent.channels.slack,
            retention_days=agent.retention_days,
        )
    )
    return agent


def check_changes(changes: AgentChanges) -> AgentChanges:
    """The changes if an agent may have them; raises InvalidField, which names the field."""
    for field, longest in LONGEST.items():
        value = getattr(changes, field)
        if value is not UNSET:
            _check_text(field, value, longest, one_line=field in _ONE_LINE)
    if changes.model is not UNSET:
        _check_model(changes.model)
    if changes.retention_days is not UNSET and changes.retention_days is not None:
        _check_retention(changes.retention_days)
    if changes.web is not UNSET:
        _check_web(changes.web)
    if changes.slack is not UNSET:
        _check_slack(changes.slack)
    return changes


def check_message(message: ChannelMessage) -> ChannelMessage:
    """The message if it may be accepted; raises BodyTooLarge for one that is too long, else InvalidField."""
    for field in ("thread", "message_id"):
        if not getattr(message, field):
            raise InvalidField(f"A message has a {field}.", param=field)
    for field in ("thread", "message_id", "sender"):
        _check_text(field, getattr(message, field), LONGEST_ID, one_line=True)
    if len(message.text) > LONGEST_MESSAGE:
        raise BodyTooLarge(f"A message has {LONGEST_MESSAGE} characters at most.", param="text")
    if not message.text.strip() and not message.attachments:
        raise InvalidField("A message has words in it.", param="text")
    _check_unicode("text", message.text)
    if len(message.attachments) > MOST_ATTACHMENTS:
        raise BodyTooLarge(f"A message has {MOST_ATTACHMENTS} attachments at most.", param="attachments")
    for attachment in message.attachments:
        _check_text("attachments", attachment.name, LONGEST_ATTACHMENT_NAME, one_line=True)
        _check_text("attachments", attachment.url, LONGEST_URL, one_line=True)
    return message


def _check_text(field: str, value: str, longest: int, *, one_line: bool) -> None:
    if len(value) > longest:
        raise InvalidField(f"{field} has {longest} characters at most.", param=field)
    _check_unicode(field, value)
    if _CONTROL.search(value) or (one_line and ("\n" in value or "\r" in value)):
        raise InvalidField(f"{field} has a control character in it.", param=field)


def _check_unicode(field: str, value: str) -> None:
    """No database takes these."""
    if "\0" in value:
        raise InvalidField(f"{field} is text: it has a NUL in it.", param=field)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidField(f"{field} is no Unicode text: half of a surrogate pair is missing.", param=field) from None


def _check_model(model: str) -> None:
    """An agent is answered by a plain model or a group, or by a council; one agent that is another would go round in circles."""
    if not model.strip():
        raise InvalidField("An agent needs a model: a model or a group.", param="model")
    if model.startswith(AGENT_PREFIX):
        raise InvalidField("An agent's model is a model or a group, and not an agent.", param="model")


def _check_retention(days: int) -> None:
    if not 1 <= days <= LONGEST_RETENTION_DAYS:
        raise InvalidField(
            f"retention_days is from 1 to {LONGEST_RETENTION_DAYS}, or null: until somebody deletes it.",
            param="retention_days",
        )


def _check_web(web: WebChannel) -> None:
    if web.visitors and not web.enabled:
        raise InvalidField(
            "channels.web.visitors lets visitors in where channels.web is enabled, and it is not.",
            param="channels.web.visitors",
        )


def _check_slack(slack: SlackChannel) -> None:
    for field in ("team", "app"):
        if not _SLACK_ID.fullmatch(getattr(slack, field)):
            raise InvalidField(f"channels.slack.{field} is an id as Slack makes them.", param=f"channels.slack.{field}")
    if len(slack.channels) > MOST_SLACK_CHANNELS:
        raise InvalidField(
            f"channels.slack.channels has {MOST_SLACK_CHANNELS} at most.", param="channels.slack.channels"
        )
    if not all(id and _SLACK_ID.fullmatch(id) for id in slack.channels):
        raise InvalidField(
            "channels.slack.channels holds ids as Slack makes them, like C0123456789.", param="channels.slack.channels"
        )
