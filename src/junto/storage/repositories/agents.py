"""Agents in the database. Every change raises the counter of the nodes' copies in its own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from junto.core.errors import Conflict
from junto.core.sensitivity import parse_sensitivity
from junto.ports.agents import Agent, Channels
from junto.storage.repositories.conversations_rows import delete_conversations
from junto.storage.repositories.versions import bump
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.agents import AGENTS, CONVERSATIONS
from junto.storage.tables.identity import TENANTS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, RowMapping, Select

    from junto.ports.agents import AgentChanges
    from junto.storage.sessions import Session, Sessions

AGENTS_VERSION: Final = "agents"
_AT_ONCE: Final = 200  # conversations deleted in one transaction


class StoredAgents:
    """Implements ports.agents.AgentStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def in_force(self) -> list[Agent]:
        asked = select(AGENTS).join(TENANTS, TENANTS.c.id == AGENTS.c.tenant_id)
        async with self._sessions.read(OPERATOR) as session:
            rows = await session.execute(asked.where(AGENTS.c.enabled == 1, TENANTS.c.enabled == 1))
            return [_agent(row) for row in rows.mappings()]

    async def create(self, agent: Agent) -> Agent:
        try:
            async with self._sessions.write(Tenant(agent.tenant_id)) as session:
                await bump(session, AGENTS_VERSION)
                times = {"created_ms": session.now_ms, "updated_ms": session.now_ms}
                await session.execute(insert(AGENTS).values(**_row(agent), **times))
                return await _get(session, agent.tenant_id, agent.name)
        except IntegrityError as error:
            raise Conflict(f"The name {agent.name} is taken.", param="name") from error

    async def find(self, tenant_id: str, name: str) -> Agent | None:
        async with self._sessions.read(Tenant(tenant_id)) as session:
            return await _find(session, tenant_id, name)

    async def agents(self, tenant_id: str, *, after: str | None, limit: int) -> list[Agent]:
        async with self._sessions.read(Tenant(tenant_id)) as session:
            asked = select(AGENTS).where(session.within(AGENTS), AGENTS.c.tenant_id == tenant_id)
            if after is not None:
                asked = asked.where(AGENTS.c.name > after)
            rows = await session.execute(asked.order_by(AGENTS.c.name).limit(limit))
            return [_agent(row) for row in rows.mappings()]

    async def update(self, tenant_id: str, name: str, changes: AgentChanges) -> Agent | None:
        async with self._sessions.write(Tenant(tenant_id)) as session:
            await bump(session, AGENTS_VERSION)  # whose lock makes those who change agents take turns
            found = await _find(session, tenant_id, name)
            if found is None:
                return None
            columns = _row(changes.applied_to(found))
            await session.execute(
                update(AGENTS).where(_named(session, tenant_id, name)).values(**columns, updated_ms=session.now_ms)
            )
            return await _get(session, tenant_id, name)

    async def delete(self, tenant_id: str, name: str) -> bool:
        """Its conversations go a few at a time, so that others can write meanwhile: from the first of them on it takes no message."""
        async with self._sessions.write(Tenant(tenant_id)) as session:
            await bump(session, AGENTS_VERSION)
            closed = update(AGENTS).where(_named(session, tenant_id, name)).values(enabled=0)
            found = (await session.execute(closed.returning(AGENTS.c.id))).scalar_one_or_none()
        if found is None:
            return False
        while await self._delete_some(tenant_id, found) == _AT_ONCE:
            pass
        async with self._sessions.write(Tenant(tenant_id)) as session:
            await bump(session, AGENTS_VERSION)
            # Whoever accepts a message holds the agent's row until that is written down: what was under way is there now.
            await session.execute(_one(session, tenant_id, name).with_for_update())
            await _delete_of(session, tenant_id, found, limit=None)
            gone = delete(AGENTS).where(_named(session, tenant_id, name), AGENTS.c.id == found)
            return bool((await session.execute(gone)).rowcount)

    async def _delete_some(self, tenant_id: str, agent_id: str) -> int:
        async with self._sessions.write(Tenant(tenant_id)) as session:
            return await _delete_of(session, tenant_id, agent_id, limit=_AT_ONCE)


async def _delete_of(session: Session, tenant_id: str, agent_id: str, *, limit: int | None) -> int:
    asked = select(CONVERSATIONS.c.tenant_id, CONVERSATIONS.c.id).where(
        session.within(CONVERSATIONS), CONVERSATIONS.c.tenant_id == tenant_id, CONVERSATIONS.c.agent_id == agent_id
    )
    return await delete_conversations(session, asked.order_by(CONVERSATIONS.c.id).limit(limit))


def _named(session: Session, tenant_id: str, name: str) -> ColumnElement[bool]:
    return session.within(AGENTS) & (AGENTS.c.tenant_id == tenant_id) & (AGENTS.c.name == name)


def _one(session: Session, tenant_id: str, name: str) -> Select[Any]:
    return select(AGENTS).where(_named(session, tenant_id, name))


async def _find(session: Session, tenant_id: str, name: str) -> Agent | None:
    row = (await session.execute(_one(session, tenant_id, name))).mappings().first()
    return None if row is None else _agent(row)


async def _get(session: Session, tenant_id: str, name: str) -> Agent:
    return _agent((await session.execute(_one(session, tenant_id, name))).mappings().one())


def _row(agent: Agent) -> dict[str, Any]:
    times = ("created_ms", "updated_ms")
    columns = {name: getattr(agent, name) for name in agent.__struct_fields__ if name not in times}
    return {
        **columns,
        "tools": int(agent.tools),
        "enabled": int(agent.enabled),
        "sensitivity": "" if agent.sensitivity is None else agent.sensitivity.label,
        "channels": msgspec.json.encode(agent.channels).decode(),
    }


def _agent(row: RowMapping) -> Agent:
    fields = {name: row[name] for name in Agent.__struct_fields__}
    fields["tools"], fields["enabled"] = bool(row["tools"]), bool(row["enabled"])
    fields["sensitivity"] = parse_sensitivity(row["sensitivity"]) if row["sensitivity"] else None
    fields["channels"] = msgspec.json.decode(row["channels"], type=Channels)
    return Agent(**fields)
