"""Administering agents and what was said with them. Who may do that is the edge's business.

Each change is written to the audit log, by names and never by words, and is in force on this node when the method returns; the
other nodes follow within a second.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import structlog
from msgspec import UNSET

from junto.agents.model import check_agent, check_changes, is_name
from junto.core.errors import NotFound
from junto.core.near import did_you_mean
from junto.ports.agents import Agent, Conversation, History, Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.identity.directory import Directory
    from junto.ports.agents import AgentChanges, AgentStore, ConversationQuery, ConversationStore

_COMPARED = 500
_SHOWN = 64
_CONVERSATION = re.compile(r"[a-z]{1,8}_[0-9a-f]{1,40}")  # anything else is no id, and not every database takes it


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with a page of what was said in it, and the summary that stands for its first turns."""

    conversation: Conversation
    history: History
    turns: list[Turn]


class AgentDirectory:
    """Creates, lists, changes and deletes agents, reads and deletes their conversations. `tenant` is always an id or a name.

    `make_id` takes a kind (`agt`) and gives an id that sorts by time; `announce` comes back when this node knows of a change,
    and tells the others. Every method raises NotFound for what is not there.
    """

    def __init__(
        self,
        store: AgentStore,
        conversations: ConversationStore,
        *,
        tenants: Directory,
        make_id: Callable[[str], str],
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._tenants = tenants
        self._make_id = make_id
        self._announce = announce
        self._log = structlog.get_logger(audit=True)

    async def create(self, tenant: str, name: str, changes: AgentChanges, *, author: str) -> Agent:
        """A new agent; raises Conflict, InvalidField."""
        owner = await self._tenants.get_tenant(tenant)
        blank = Agent(id=self._make_id("agt"), tenant_id=owner.id, name=name)
        created = await self._store.create(check_agent(changes.applied_to(blank)))
        await self._tell("agent.created", created, author)
        return created

    async def agents(self, tenant: str, *, after: str | None, limit: int) -> list[Agent]:
        """A page of a tenant's agents, by name."""
        owner = await self._tenants.get_tenant(tenant)
        return await self._store.agents(owner.id, after=after, limit=limit)

    async def get(self, tenant: str, name: str) -> Agent:
        """One agent."""
        owner = await self._tenants.get_tenant(tenant)
        found = await self._store.find(owner.id, name) if is_name(name) else None
        if found is None:
            raise await self._missing(owner.id, name)
        return found

    async def change(self, tenant: str, name: str, changes: AgentChanges, *, author: str) -> Agent:
        """Change what is named; raises InvalidField."""
        before = await self.get(tenant, name)
        check_changes(changes)
        changed = await self._store.update(before.tenant_id, name, changes)
        if changed is None:  # it was deleted just now
            raise await self._missing(before.tenant_id, name)
        await self._tell("agent.changed", changed, author, fields=_fields(changes))
        return changed

    async def delete(self, tenant: str, name: str, *, author: str) -> Agent:
        """Delete an agent with all its conversations."""
        agent = await self.get(tenant, name)
        await self._store.delete(agent.tenant_id, name)
        await self._tell("agent.deleted", agent, author)
        return agent

    async def conversations(self, tenant: str, name: str, query: ConversationQuery) -> list[Conversation]:
        """A page of an agent's conversations, newest first."""
        agent = await self.get(tenant, name)
        return await self._conversations.conversations(agent.tenant_id, name, query)

    async def read(self, tenant: str, name: str, conversation_id: str, *, after: int, limit: int) -> Transcript:
        """A conversation with a page of its turns, oldest first."""
        found = await self._conversation(await self.get(tenant, name), conversation_id)
        history = await self._conversations.history(found.tenant_id, found.id, limit=0)
        turns = await self._conversations.turns(found.tenant_id, found.id, after=after, limit=limit)
        return Transcript(conversation=found, history=history or History(conversation_id=found.id), turns=turns)

    async def forget(self, tenant: str, name: str, conversation_id: str, *, author: str) -> Conversation:
        """Delete a conversation, with all that was said in it."""
        agent = await self.get(tenant, name)
        found = await self._conversation(agent, conversation_id)
        await self._conversations.delete(found.tenant_id, name, found.id)
        self._say("conversation.deleted", agent, author, conversation_id=found.id)
        return found

    async def _conversation(self, agent: Agent, conversation_id: str) -> Conversation:
        is_id = _CONVERSATION.fullmatch(conversation_id) is not None
        found = await self._conversations.find(agent.tenant_id, agent.name, conversation_id) if is_id else None
        if found is None:
            raise NotFound(f"The agent {agent.name} has no conversation {conversation_id[:_SHOWN]!r}.")
        return found

    async def _tell(self, event: str, agent: Agent, author: str, **more: list[str]) -> None:
        self._say(event, agent, author, **more)
        await self._announce()

    def _say(self, event: str, agent: Agent, author: str, **more: str | list[str]) -> None:
        self._log.info(event, tenant_id=agent.tenant_id, agent=agent.name, author=author, **more)

    async def _missing(self, tenant_id: str, name: str) -> NotFound:
        known = await self._store.agents(tenant_id, after=None, limit=_COMPARED)
        hint = did_you_mean(name, [agent.name for agent in known])
        return NotFound(f"There is no agent {name[:_SHOWN]!r}.{hint}")


def _fields(changes: AgentChanges) -> list[str]:
    """The names of what is to be changed."""
    return sorted(name for name in changes.__struct_fields__ if getattr(changes, name) is not UNSET)
