"""Rows of conversations as values and back, their texts packed and sealed; and deleting conversations whole. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from sqlalchemy import delete, select, tuple_

from junto.core.usage import estimate_tokens
from junto.ports.agents import Attachment, Channel, ChannelMessage, Conversation, InboxEntry, Role, Turn
from junto.storage.bodies import Packed, Packer, unpack
from junto.storage.sealing import unsealed
from junto.storage.sessions import OPERATOR
from junto.storage.tables.agents import AGENTS, CONVERSATIONS, INBOX, TURNS

if TYPE_CHECKING:
    from sqlalchemy import RowMapping, Select

    from junto.storage.sessions import Session, Sessions


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sealed of a turn."""

    text: str = ""
    attachments: tuple[Attachment, ...] = ()


_DAY_MS: Final = 24 * 60 * 60 * 1000
REPLY: Final = TURNS.alias("reply")
"""The assistant's turn of an inbox row."""


def sealed(session: Session, text: bytes, *place: str) -> Packed:
    """A text as it is stored at that place (tenant, conversation, what of it): compressed, and encrypted where bodies are."""
    packed = Packer().pack(text, b"")
    return packed if session.sealer is None else session.sealer.seal(packed, *place)


def opened(session: Session, codec: str, content: bytes | None, *place: str) -> bytes:
    """A text as it was; b"", and a word in the log, where it cannot be read: the conversation goes on without it."""
    if content is None:
        return b""
    try:
        return unpack(unsealed(Packed(codec, content), session.sealer, *place), 0)[1]
    except ValueError as error:
        structlog.get_logger().error("conversation_unreadable", place=place, error=str(error))
        return b""


def turn_row(session: Session, tenant_id: str, conversation_id: str, turn: Turn) -> dict[str, Any]:
    """The row of a turn."""
    said = msgspec.json.encode(Said(turn.text, turn.attachments))
    packed = sealed(session, said, *_place(tenant_id, conversation_id, turn.number))
    return {
        "tenant_id": tenant_id,
        "conversation_id": conversation_id,
        "number": turn.number,
        "role": turn.role.value,
        "sender": turn.sender,
        "message_id": turn.message_id,
        "fallback": int(turn.fallback),
        "tokens": estimate_tokens(len(turn.text)),
        "codec": packed.codec,
        "content": packed.content,
        "sent_ms": turn.sent_ms or session.now_ms,
    }


def turn_of(session: Session, row: RowMapping) -> Turn:
    """The turn of a row."""
    said = _said(session, row, row["number"], row["codec"], row["content"])
    return Turn(
        number=row["number"],
        role=Role(row["role"]),
        text=said.text,
        sent_ms=row["sent_ms"],
        sender=row["sender"],
        message_id=row["message_id"],
        tokens=row["tokens"],
        attachments=said.attachments,
        fallback=bool(row["fallback"]),
    )


def conversation_of(row: RowMapping) -> Conversation:
    """The conversation of a row of `conversations` with the agent's name in it."""
    fields = {name: row[name] for name in Conversation.__struct_fields__ if name not in {"agent", "channel"}}
    return Conversation(**fields, agent=row["agent"], channel=Channel(row["channel"]))


def inbox_rows() -> Select[Any]:
    """Inbox rows with all that an entry is made of."""
    return (
        select(
            INBOX,
            AGENTS.c.name.label("agent"),
            CONVERSATIONS.c.thread,
            *(TURNS.c[name] for name in ("sender", "codec", "content", "sent_ms")),
            *(REPLY.c[name].label(f"reply_{name}") for name in ("codec", "content", "fallback")),
        )
        .join(AGENTS, (AGENTS.c.tenant_id == INBOX.c.tenant_id) & (AGENTS.c.id == INBOX.c.agent_id))
        .join(
            CONVERSATIONS,
            (CONVERSATIONS.c.tenant_id == INBOX.c.tenant_id) & (CONVERSATIONS.c.id == INBOX.c.conversation_id),
        )
        .join(
            TURNS,
            (TURNS.c.tenant_id == INBOX.c.tenant_id)
            & (TURNS.c.conversation_id == INBOX.c.conversation_id)
            & (TURNS.c.number == INBOX.c.number),
        )
        .outerjoin(
            REPLY,
            (REPLY.c.tenant_id == INBOX.c.tenant_id)
            & (REPLY.c.conversation_id == INBOX.c.conversation_id)
            & (REPLY.c.number == INBOX.c.reply),
        )
    )


def entry_of(session: Session, row: RowMapping) -> InboxEntry:
    """The entry of a row of `inbox_rows`."""
    said = _said(session, row, row["number"], row["codec"], row["content"])
    reply = None
    if row["reply"] is not None:
        reply = _said(session, row, row["reply"], row["reply_codec"], row["reply_content"]).text
    message = ChannelMessage(
        tenant_id=row["tenant_id"],
        agent=row["agent"],
        channel=Channel(row["channel"]),
        thread=row["thread"],
        message_id=row["message_id"],
        sender=row["sender"],
        text=said.text,
        attachments=said.attachments,
        sent_ms=row["sent_ms"],
    )
    return InboxEntry(
        id=row["id"],
        conversation_id=row["conversation_id"],
        number=row["number"],
        message=message,
        job_id=row["job_id"],
        reply=reply,
        fallback=bool(row["reply_fallback"]),
        received_ms=row["received_ms"],
    )


def of_agent(session: Session, tenant_id: str, agent: str) -> Select[Any]:
    """The conversations of a tenant's agent, with its name."""
    theirs = (AGENTS.c.tenant_id == CONVERSATIONS.c.tenant_id) & (AGENTS.c.id == CONVERSATIONS.c.agent_id)
    columns = [column for column in CONVERSATIONS.columns if not column.name.startswith("summary")]
    return (
        select(*columns, AGENTS.c.name.label("agent"))
        .join(AGENTS, theirs)
        .where(session.within(CONVERSATIONS), CONVERSATIONS.c.tenant_id == tenant_id, AGENTS.c.name == agent)
    )


def _outlived(session: Session) -> Select[Any]:
    """Conversations whose last message is older than their agent keeps them."""
    theirs = (AGENTS.c.tenant_id == CONVERSATIONS.c.tenant_id) & (AGENTS.c.id == CONVERSATIONS.c.agent_id)
    return (
        select(CONVERSATIONS.c.tenant_id, CONVERSATIONS.c.id)
        .join(AGENTS, theirs)
        .where(session.within(CONVERSATIONS), AGENTS.c.retention_days.is_not(None))
        .where(CONVERSATIONS.c.updated_ms < session.now_ms - AGENTS.c.retention_days * _DAY_MS)
    )


def turns_in(session: Session, tenant_id: str, conversation_id: str) -> Select[Any]:
    """What was said in a conversation."""
    mine = (TURNS.c.tenant_id == tenant_id) & (TURNS.c.conversation_id == conversation_id)
    return select(TURNS).where(session.within(TURNS), mine)


async def purge_conversations(sessions: Sessions, *, limit: int) -> int:
    """Delete at most so many conversations that are over their agent's retention; how many went."""
    async with sessions.read(OPERATOR) as session:
        keys = [(row.tenant_id, row.id) for row in await session.execute(_outlived(session).limit(limit))]
    if not keys:
        return 0
    async with sessions.write(OPERATOR) as session:
        by_index = CONVERSATIONS.c.id.in_([id for _, id in keys])
        still = _outlived(session).where(by_index, tuple_(CONVERSATIONS.c.tenant_id, CONVERSATIONS.c.id).in_(keys))
        return await delete_conversations(session, still)


async def delete_conversations(session: Session, asked: Select[Any]) -> int:
    """Delete the conversations whose (tenant, id) a statement finds, with everything of theirs; how many there were.

    Their rows are locked first, as by whoever adds to one: so nothing is added to what is being deleted.
    """
    keys = [(row.tenant_id, row.id) for row in await session.execute(asked.with_for_update(of=CONVERSATIONS))]
    if not keys:
        return 0
    tenants, ids = {tenant for tenant, _ in keys}, [id for _, id in keys]
    for table, id in (
        (TURNS, TURNS.c.conversation_id),
        (INBOX, INBOX.c.conversation_id),
        (CONVERSATIONS, CONVERSATIONS.c.id),
    ):
        # The pairs say which; the two lists are there for SQLite, which finds pairs by no index.
        by_index = table.c.tenant_id.in_(tenants) & id.in_(ids)
        await session.execute(
            delete(table).where(session.within(table), by_index, tuple_(table.c.tenant_id, id).in_(keys))
        )
    return len(keys)


def _said(session: Session, row: RowMapping, number: int, codec: str, content: bytes | None) -> Said:
    found = opened(session, codec, content, *_place(row["tenant_id"], row["conversation_id"], number))
    return msgspec.json.decode(found, type=Said) if found else Said()


def _place(tenant_id: str, conversation_id: str, number: int) -> tuple[str, ...]:
    return tenant_id, conversation_id, "turn", str(number)
