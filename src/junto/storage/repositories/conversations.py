"""Conversations in the database: a message is accepted once and answered once, each in one transaction.

Invariant: rows are locked in the order agent, conversation, inbox, so that no two wait for each other in a circle; and nobody adds
to a conversation without having its row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from junto.core.errors import NotFound
from junto.ports.agents import Accepted, Conversation, History, Role, Turn
from junto.storage.repositories.conversations_rows import (
    conversation_of,
    delete_conversations,
    entry_of,
    inbox_rows,
    of_agent,
    opened,
    purge_conversations,
    sealed,
    turn_of,
    turn_row,
    turns_in,
)
from junto.storage.repositories.jobs_rows import Transactions
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.agents import AGENTS, CONVERSATIONS, INBOX, TURNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Table

    from junto.ports.agents import Channel, ChannelMessage, ConversationQuery, InboxEntry
    from junto.storage.sessions import Session, Sessions

_KEY: Final = (INBOX.c.tenant_id, INBOX.c.agent_id, INBOX.c.channel, INBOX.c.message_id)
_THREAD: Final = (
    CONVERSATIONS.c.tenant_id,
    CONVERSATIONS.c.agent_id,
    CONVERSATIONS.c.channel,
    CONVERSATIONS.c.thread,
)


class _Twice(Exception):
    """Somebody else has just accepted the message."""


class StoredConversations:
    """Implements ports.agents.ConversationStore. `make_id` takes a kind (`cnv`, `msg`) and gives an id that sorts by time."""

    def __init__(self, sessions: Sessions, *, make_id: Callable[[str], str]) -> None:
        self._sessions = sessions
        self._transaction = Transactions(sessions)
        self._make_id = make_id

    async def accept(self, message: ChannelMessage) -> Accepted:
        try:
            async with self._transaction(Tenant(message.tenant_id)) as session:
                agent_id = await _agent_id(session, message)
                return await _earlier(session, agent_id, message) or await self._accept(session, agent_id, message)
        except _Twice:
            async with self._transaction(Tenant(message.tenant_id), reading=True) as session:
                agent_id = await _agent_id(session, message, lock=False)
                earlier = await _earlier(session, agent_id, message)
        if earlier is None:  # it was deleted at this very moment
            raise NotFound("The conversation was deleted.")
        return earlier

    async def _accept(self, session: Session, agent_id: str, message: ChannelMessage) -> Accepted:
        conversation_id, number = await self._next_turn(session, agent_id, message)
        inbox_id = self._make_id("msg")
        taken = _into(session, INBOX).values(
            tenant_id=message.tenant_id,
            id=inbox_id,
            agent_id=agent_id,
            channel=message.channel.value,
            message_id=message.message_id,
            conversation_id=conversation_id,
            number=number,
            job_id="",
            received_ms=session.now_ms,
        )
        written = await session.execute(taken.on_conflict_do_nothing(index_elements=_KEY).returning(INBOX.c.id))
        if written.first() is None:
            raise _Twice  # which takes the conversation's new turn back
        turn = Turn(
            number=number,
            role=Role.USER,
            text=message.text,
            sent_ms=message.sent_ms,
            sender=message.sender,
            message_id=message.message_id,
            attachments=message.attachments,
        )
        await session.execute(insert(TURNS).values(turn_row(session, message.tenant_id, conversation_id, turn)))
        return Accepted(inbox_id=inbox_id, conversation_id=conversation_id, number=number)

    async def _next_turn(self, session: Session, agent_id: str, message: ChannelMessage) -> tuple[str, int]:
        """The conversation, made if it is new, with one turn more, and the number of that."""
        first = _into(session, CONVERSATIONS).values(
            tenant_id=message.tenant_id,
            id=self._make_id("cnv"),
            agent_id=agent_id,
            channel=message.channel.value,
            thread=message.thread,
            turns=1,
            summary_codec="",
            summary_upto=0,
            created_ms=session.now_ms,
            updated_ms=session.now_ms,
        )
        another = {"turns": CONVERSATIONS.c.turns + 1, "updated_ms": session.now_ms}
        counted = first.on_conflict_do_update(index_elements=_THREAD, set_=another)
        row = (await session.execute(counted.returning(CONVERSATIONS.c.id, CONVERSATIONS.c.turns))).one()
        return row.id, row.turns

    async def history(self, tenant_id: str, conversation_id: str, *, limit: int = 500) -> History | None:
        async with self._transaction(Tenant(tenant_id), reading=True) as session:
            found = select(CONVERSATIONS).where(_this(session, CONVERSATIONS, tenant_id, conversation_id))
            row = (await session.execute(found)).mappings().first()
            if row is None:
                return None
            newest = turns_in(session, tenant_id, conversation_id).where(TURNS.c.number > row["summary_upto"])
            turns = await session.execute(newest.order_by(TURNS.c.number.desc()).limit(limit))
            place = (tenant_id, conversation_id, "summary")
            return History(
                conversation_id=conversation_id,
                summary=opened(session, row["summary_codec"], row["summary"], *place).decode(),
                summary_upto=row["summary_upto"],
                turns=tuple(reversed([turn_of(session, one) for one in turns.mappings()])),
            )

    async def save_summary(self, tenant_id: str, conversation_id: str, text: str, upto: int) -> bool:
        async with self._transaction(Tenant(tenant_id)) as session:
            packed = sealed(session, text.encode(), tenant_id, conversation_id, "summary")
            further = (CONVERSATIONS.c.summary_upto < upto) & (CONVERSATIONS.c.turns >= upto)
            saved = await session.execute(
                update(CONVERSATIONS)
                .where(_this(session, CONVERSATIONS, tenant_id, conversation_id), further)
                .values(summary_codec=packed.codec, summary=packed.content, summary_upto=upto)
            )
            return bool(saved.rowcount)

    async def bind_job(self, tenant_id: str, inbox_id: str, job_id: str) -> bool:
        free = INBOX.c.job_id.in_(("", job_id)) & INBOX.c.answered_ms.is_(None)
        async with self._transaction(Tenant(tenant_id)) as session:
            bound = update(INBOX).where(_this(session, INBOX, tenant_id, inbox_id), free).values(job_id=job_id)
            return bool((await session.execute(bound)).rowcount)

    async def answer(self, tenant_id: str, inbox_id: str, text: str, *, fallback: bool) -> bool:
        mine = (INBOX.c.tenant_id == CONVERSATIONS.c.tenant_id) & (INBOX.c.conversation_id == CONVERSATIONS.c.id)
        async with self._transaction(Tenant(tenant_id)) as session:
            asked = select(CONVERSATIONS.c.id, CONVERSATIONS.c.turns, INBOX.c.message_id).join(INBOX, mine)
            asked = asked.where(session.within(CONVERSATIONS), _this(session, INBOX, tenant_id, inbox_id))
            row = (await session.execute(asked.with_for_update(of=CONVERSATIONS))).first()
            if row is None:
                return False
            number = row.turns + 1
            first = _this(session, INBOX, tenant_id, inbox_id) & INBOX.c.answered_ms.is_(None)
            taken = update(INBOX).where(first).values(answered_ms=session.now_ms, reply=number)
            if not (await session.execute(taken)).rowcount:
                return False
            turn = Turn(
                number=number,
                role=Role.ASSISTANT,
                text=text,
                sent_ms=0,
                message_id=row.message_id,
                fallback=fallback,
            )
            await session.execute(
                update(CONVERSATIONS)
                .where(_this(session, CONVERSATIONS, tenant_id, row.id))
                .values(turns=number, updated_ms=session.now_ms)
            )
            await session.execute(insert(TURNS).values(turn_row(session, tenant_id, row.id, turn)))
            return True

    async def delivered(self, tenant_id: str, inbox_id: str) -> bool:
        waits = INBOX.c.answered_ms.is_not(None) & INBOX.c.delivered_ms.is_(None)
        async with self._transaction(Tenant(tenant_id)) as session:
            gone = update(INBOX).where(_this(session, INBOX, tenant_id, inbox_id), waits)
            return bool((await session.execute(gone.values(delivered_ms=session.now_ms))).rowcount)

    async def unanswered(self, *, older_than_ms: int, limit: int, after: str | None = None) -> list[InboxEntry]:
        async with self._transaction(OPERATOR, reading=True) as session:
            old = INBOX.c.answered_ms.is_(None) & (INBOX.c.received_ms <= session.now_ms - older_than_ms)
            return await _open_entries(session, old, limit, after)

    async def undelivered(
        self, *, older_than_ms: int, limit: int, after: str | None = None, channel: Channel | None = None
    ) -> list[InboxEntry]:
        async with self._transaction(OPERATOR, reading=True) as session:
            old = INBOX.c.answered_ms <= session.now_ms - older_than_ms
            if channel is not None:
                old &= INBOX.c.channel == channel.value
            return await _open_entries(session, old, limit, after)

    async def conversations(self, tenant_id: str, agent: str, query: ConversationQuery) -> list[Conversation]:
        async with self._transaction(Tenant(tenant_id), reading=True) as session:
            asked = of_agent(session, tenant_id, agent)
            if query.channel is not None:
                asked = asked.where(CONVERSATIONS.c.channel == query.channel.value)
            if query.before is not None:
                asked = asked.where(CONVERSATIONS.c.id < query.before)
            rows = await session.execute(asked.order_by(CONVERSATIONS.c.id.desc()).limit(query.limit))
            return [conversation_of(row) for row in rows.mappings()]

    async def find(self, tenant_id: str, agent: str, conversation_id: str) -> Conversation | None:
        async with self._transaction(Tenant(tenant_id), reading=True) as session:
            asked = of_agent(session, tenant_id, agent).where(CONVERSATIONS.c.id == conversation_id)
            row = (await session.execute(asked)).mappings().first()
            return None if row is None else conversation_of(row)

    async def of_thread(self, tenant_id: str, agent: str, channel: Channel, thread: str) -> Conversation | None:
        this = (CONVERSATIONS.c.channel == channel.value) & (CONVERSATIONS.c.thread == thread)
        async with self._transaction(Tenant(tenant_id), reading=True) as session:
            row = (await session.execute(of_agent(session, tenant_id, agent).where(this))).mappings().first()
            return None if row is None else conversation_of(row)

    async def turns(self, tenant_id: str, conversation_id: str, *, after: int, limit: int) -> list[Turn]:
        async with self._transaction(Tenant(tenant_id), reading=True) as session:
            asked = turns_in(session, tenant_id, conversation_id).where(TURNS.c.number > after)
            rows = await session.execute(asked.order_by(TURNS.c.number).limit(limit))
            return [turn_of(session, row) for row in rows.mappings()]

    async def delete(self, tenant_id: str, agent: str, conversation_id: str) -> bool:
        async with self._transaction(Tenant(tenant_id)) as session:
            asked = of_agent(session, tenant_id, agent).where(CONVERSATIONS.c.id == conversation_id)
            return bool(await delete_conversations(session, asked))

    async def purge(self, *, limit: int) -> int:
        return await purge_conversations(self._sessions, limit=limit)


async def _agent_id(session: Session, message: ChannelMessage, *, lock: bool = True) -> str:
    """The agent that takes the message, whom nobody deletes before it is written down; raises NotFound."""
    asked = select(AGENTS.c.id).where(
        session.within(AGENTS),
        AGENTS.c.tenant_id == message.tenant_id,
        AGENTS.c.name == message.agent,
        AGENTS.c.enabled == 1,
    )
    asked = asked.with_for_update(read=True, key_share=True) if lock else asked
    found = (await session.execute(asked)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no agent {message.agent}.")
    return str(found)


async def _earlier(session: Session, agent_id: str, message: ChannelMessage) -> Accepted | None:
    """What became of the message when it came before."""
    key = (message.tenant_id, agent_id, message.channel.value, message.message_id)
    asked = inbox_rows().where(
        session.within(INBOX), *(column == value for column, value in zip(_KEY, key, strict=True))
    )
    row = (await session.execute(asked)).mappings().first()
    if row is None:
        return None
    entry = entry_of(session, row)
    return Accepted(
        inbox_id=entry.id,
        conversation_id=entry.conversation_id,
        number=entry.number,
        duplicate=True,
        job_id=entry.job_id,
        reply=entry.reply,
        fallback=entry.fallback,
        delivered=row["delivered_ms"] is not None,
    )


async def _open_entries(
    session: Session, which: ColumnElement[bool], limit: int, after: str | None
) -> list[InboxEntry]:
    asked = inbox_rows().where(session.within(INBOX), INBOX.c.delivered_ms.is_(None), which)
    if after is not None:
        asked = asked.where(INBOX.c.id > after)
    rows = await session.execute(asked.order_by(INBOX.c.id).limit(limit))
    return [entry_of(session, row) for row in rows.mappings()]


def _this(session: Session, table: Table, tenant_id: str, id: str) -> ColumnElement[bool]:
    return session.within(table) & (table.c.tenant_id == tenant_id) & (table.c.id == id)


def _into(session: Session, table: Table) -> Any:
    """An insert that can mind what is there already."""
    return (sqlite.insert if session.connection.dialect.name == "sqlite" else postgresql.insert)(table)
