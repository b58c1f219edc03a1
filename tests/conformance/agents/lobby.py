"""What the tests of stored conversations do to a database: agents of two tenants, messages to them, time that passes."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, update

from junto.ports.agents import Accepted, Agent, Channel, ChannelMessage, Turn
from junto.storage.repositories.agents import StoredAgents
from junto.storage.repositories.conversations import StoredConversations
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables import CONVERSATIONS, INBOX, TENANTS, TURNS

if TYPE_CHECKING:
    from sqlalchemy import RowMapping, Table

    from junto.storage.engine import Database
    from junto.storage.sealing import Sealer

DAY_MS = 24 * 60 * 60 * 1000
OURS, THEIRS = "default", "other"


class Lobby:
    """Conversations of the agent `ada`, of the tenants `default` and `other` alike."""

    def __init__(self, database: Database, sealer: Sealer | None = None, *, filtered: bool = True) -> None:
        self.sessions = Sessions(database, sealer=sealer, filtered=filtered)
        self._numbers = count(1)
        self.agents = StoredAgents(self.sessions)
        self.store = StoredConversations(self.sessions, make_id=self.make_id)

    async def set_up(self) -> None:
        """Make the tenants and their agents."""
        async with self.sessions.write(OPERATOR) as session:
            row = {"name": THEIRS, "enabled": 1, "notes": "", "created_ms": 0, "updated_ms": 0}
            await session.execute(TENANTS.insert().values(id=THEIRS, **row))
        for tenant in (OURS, THEIRS):
            await self.agents.create(self.agent(tenant_id=tenant))

    def make_id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers):06x}"

    def agent(self, name: str = "ada", **fields: Any) -> Agent:
        plain = Agent(id=self.make_id("agt"), tenant_id=OURS, name=name)
        return msgspec.structs.replace(plain, **fields)

    async def say(self, text: str = "Hello?", id: str = "m1", **fields: Any) -> Accepted:
        return await self.store.accept(message(text, id, **fields))

    async def answered(self, text: str = "Hello?", id: str = "m1", **fields: Any) -> Accepted:
        """A message, and its answer: the same in capitals."""
        accepted = await self.say(text, id, **fields)
        tenant = fields.get("tenant_id", OURS)
        assert await self.store.answer(tenant, accepted.inbox_id, text.upper(), fallback=False)
        return accepted

    async def turns(self, accepted: Accepted, tenant: str = OURS) -> list[Turn]:
        return await self.store.turns(tenant, accepted.conversation_id, after=0, limit=100)

    async def age(self, table: Table, column: str, milliseconds: int) -> None:
        """Let time pass for all rows."""
        async with self.sessions.write(OPERATOR) as session:
            await session.execute(update(table).values({column: table.c[column] - milliseconds}))

    async def rows(self, table: Table) -> list[RowMapping]:
        async with self.sessions.read(OPERATOR) as session:
            return list((await session.execute(select(table))).mappings())

    async def left(self) -> tuple[int, int, int]:
        """How many conversations, turns and inbox rows there are, of all."""
        async with self.sessions.read(OPERATOR) as session:
            counts = [
                await session.connection.scalar(select(func.count()).select_from(table))
                for table in (CONVERSATIONS, TURNS, INBOX)
            ]
        return counts[0] or 0, counts[1] or 0, counts[2] or 0


def message(text: str = "Hello?", id: str = "m1", **fields: Any) -> ChannelMessage:
    plain = ChannelMessage(
        tenant_id=OURS,
        agent="ada",
        channel=Channel.SLACK,
        thread="thread-1",
        message_id=id,
        sender="U1",
        text=text,
        sent_ms=1_700_000_000_000,
    )
    return msgspec.structs.replace(plain, **fields)
