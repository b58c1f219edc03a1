"""Agents and their conversations as they are stored, and as their service asks storage for them.

Plain values: what an agent or a message may hold is checked in agents/model.py. Times are milliseconds since the epoch, by the
database's clock but for `sent_ms`, which a channel tells. Whatever goes wrong with the database is raised as
core.errors.Overloaded, and leaves open whether it happened: everything that writes may be done again.

A message is *accepted* when it is written down, *answered* when its reply is, and *delivered* when the channel has taken that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

from junto.core.sensitivity import Sensitivity


class Channel(StrEnum):
    """Where people talk to an agent."""

    WEB = "web"
    SLACK = "slack"
    API = "api"


class WebChannel(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the chat page answers, and for `visitors` too, who have a signed link and no login."""

    enabled: bool = False
    visitors: bool = False


class SlackChannel(msgspec.Struct, frozen=True, kw_only=True):
    """Which Slack events are the agent's: of a workspace (`team`, T...), an app (`app`, A...), some channels (C..., D...); empty is any."""

    enabled: bool = False
    team: str = ""
    app: str = ""
    channels: tuple[str, ...] = ()


class Channels(msgspec.Struct, frozen=True, kw_only=True):
    """Where an agent can be talked to, beside the API, where it always can."""

    web: WebChannel = WebChannel()
    slack: SlackChannel = SlackChannel()


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant of a tenant. `name` is its address (`agent/<name>`) and never changes; `display_name` "" shows that.

    `model` is a model or a group, `sensitivity` the least that its conversations count as (None: as the caller says).
    `retention_days` is how long a conversation is kept after its last message (None: until somebody deletes it).
    """

    id: str
    tenant_id: str
    name: str
    display_name: str = ""
    role: str = ""
    persona: str = ""
    instructions: str = ""
    model: str = "fast"
    sensitivity: Sensitivity | None = None
    tools: bool = False
    channels: Channels = Channels()
    retention_days: int | None = None
    enabled: bool = True
    created_ms: int = 0
    updated_ms: int = 0

    @property
    def title(self) -> str:
        """What people know it by."""
        return self.display_name or self.name


class AgentChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of an agent; UNSET leaves a field, or a channel, as it is."""

    display_name: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    persona: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    sensitivity: Sensitivity | UnsetType | None = UNSET
    tools: bool | UnsetType = UNSET
    web: WebChannel | UnsetType = UNSET
    slack: SlackChannel | UnsetType = UNSET
    retention_days: int | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET

    def applied_to(self, agent: Agent) -> Agent:
        """The agent as it is then."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        given = {name: value for name, value in fields.items() if value is not UNSET}
        channels = {name: given.pop(name) for name in ("web", "slack") if name in given}
        return msgspec.structs.replace(agent, **given, channels=msgspec.structs.replace(agent.channels, **channels))


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """What came with a message, by name and address only; nobody has fetched it. `url` "" where there is none."""

    name: str
    url: str = ""


class ChannelMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The only thing that channels hand over: what one person wrote to an agent.

    `message_id` is the channel's own id of the message, unique in it for the agent: the same one again is the same message.
    `thread` is what the channel holds a conversation together by; `sender` is the channel's id of the person.
    """

    tenant_id: str
    agent: str  # its name
    channel: Channel
    thread: str
    message_id: str
    sender: str
    text: str
    attachments: tuple[Attachment, ...] = ()
    sent_ms: int = 0


class Role(StrEnum):
    """Who said something."""

    USER = "user"
    ASSISTANT = "assistant"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation. `number` counts from 1; `tokens` is an estimate of its text.

    `message_id` is the user's message, and of an assistant's turn the one that it answers. `fallback` is set on a reply that
    says only that no model could answer: it is no part of what a model is to be shown.
    """

    number: int
    role: Role
    text: str
    sent_ms: int
    sender: str = ""
    message_id: str = ""
    tokens: int = 0
    attachments: tuple[Attachment, ...] = ()
    fallback: bool = False


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may be shown of a conversation: a summary of the turns up to number `summary_upto`, and those after it."""

    conversation_id: str
    summary: str = ""
    summary_upto: int = 0
    turns: tuple[Turn, ...] = ()


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is written down. A `duplicate` was so before: `reply` is its answer, None while there is none.

    `number` is that of the user's turn: History may hold later ones, of messages that are not this one's business.
    """

    inbox_id: str
    conversation_id: str
    number: int
    duplicate: bool = False
    job_id: str = ""
    reply: str | None = None
    fallback: bool = False
    delivered: bool = False


class InboxEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted message as recovery finds it: `reply` is None until it is answered, `job_id` "" until a job is bound to it."""

    id: str
    conversation_id: str
    number: int
    message: ChannelMessage
    job_id: str = ""
    reply: str | None = None
    fallback: bool = False
    received_ms: int = 0


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A thread of a channel, without what was said in it. `updated_ms` is its last message's, which retention counts from."""

    id: str
    tenant_id: str
    agent: str
    channel: Channel
    thread: str
    turns: int
    created_ms: int
    updated_ms: int


class ConversationQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which conversations of an agent to list, newest first; `before` is the id of the last one of the page before."""

    channel: Channel | None = None
    before: str | None = None
    limit: int = 100


class AgentStore(Protocol):
    """Each method but `delete` is one transaction. A change raises the counter that makes every node load its copy again."""

    async def in_force(self) -> list[Agent]:
        """Every agent of every tenant that is enabled, of tenants that are."""

    async def create(self, agent: Agent) -> Agent:
        """Add an agent; raises Conflict where the tenant has one of that name."""

    async def find(self, tenant_id: str, name: str) -> Agent | None:
        """One agent, enabled or not."""

    async def agents(self, tenant_id: str, *, after: str | None, limit: int) -> list[Agent]:
        """A page of a tenant's agents by name, after that name."""

    async def update(self, tenant_id: str, name: str, changes: AgentChanges) -> Agent | None:
        """Change an agent; None where there is none."""

    async def delete(self, tenant_id: str, name: str) -> bool:
        """Delete an agent with all its conversations; False where there is none. It may take several transactions: done again, it goes on."""


class ConversationStore(Protocol):
    """Each method is one transaction, within the tenant that it names; `unanswered`, `undelivered` and `purge` see all."""

    async def accept(self, message: ChannelMessage) -> Accepted:
        """Write a message down: the inbox, its conversation if that is new, and the user's turn. The same one again changes nothing.

        Raises NotFound where the tenant has no such agent.
        """

    async def history(self, tenant_id: str, conversation_id: str, *, limit: int = 500) -> History | None:
        """The summary and the last `limit` turns after it, oldest first; None where there is no such conversation."""

    async def save_summary(self, tenant_id: str, conversation_id: str, text: str, upto: int) -> bool:
        """Have turns up to number `upto` summarised by a text; False where a summary reaches as far already, or nothing is there."""

    async def bind_job(self, tenant_id: str, inbox_id: str, job_id: str) -> bool:
        """Write down which job answers a message; False where it is answered, gone, or bound to another one."""

    async def answer(self, tenant_id: str, inbox_id: str, text: str, *, fallback: bool) -> bool:
        """Write the reply down as the assistant's turn; False where the message was answered before, or is gone."""

    async def delivered(self, tenant_id: str, inbox_id: str) -> bool:
        """The channel has taken the reply; False where it had before, or there is none."""

    async def unanswered(self, *, older_than_ms: int, limit: int, after: str | None = None) -> list[InboxEntry]:
        """Messages without a reply that were accepted so long ago, oldest first, after that id."""

    async def undelivered(
        self, *, older_than_ms: int, limit: int, after: str | None = None, channel: Channel | None = None
    ) -> list[InboxEntry]:
        """Messages whose reply was written so long ago and their channel has not taken, oldest first, after that id."""

    async def conversations(self, tenant_id: str, agent: str, query: ConversationQuery) -> list[Conversation]:
        """A page of an agent's conversations."""

    async def find(self, tenant_id: str, agent: str, conversation_id: str) -> Conversation | None:
        """One conversation of an agent."""

    async def of_thread(self, tenant_id: str, agent: str, channel: Channel, thread: str) -> Conversation | None:
        """The conversation of an agent that a channel holds together by that thread."""

    async def turns(self, tenant_id: str, conversation_id: str, *, after: int, limit: int) -> list[Turn]:
        """A page of what was said, oldest first, after that number."""

    async def delete(self, tenant_id: str, agent: str, conversation_id: str) -> bool:
        """Delete a conversation: its turns, its summary, its inbox rows; False where there is none."""

    async def purge(self, *, limit: int) -> int:
        """Delete at most so many conversations that are over their agent's retention; how many went."""
