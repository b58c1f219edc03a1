"""Conversations in memory, and models that answer by a script, for tests of what stands between them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from junto.agents.dispatch import Done, Errand, Grown
from junto.core.errors import JuntoError, NotFound, Overloaded
from junto.ports.agents import (
    Accepted,
    Agent,
    Channel,
    ChannelMessage,
    Conversation,
    ConversationQuery,
    History,
    InboxEntry,
    Role,
    Turn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from junto.identity.principal import Principal

AGENT = Agent(id="agt_1", tenant_id="default", name="front-desk", instructions="Book rooms.", model="m")


def message(text: str = "hello", *, id: str = "m1", channel: Channel = Channel.WEB, thread: str = "t1", agent: str = "front-desk") -> ChannelMessage:  # fmt: skip
    return ChannelMessage(
        tenant_id="default", agent=agent, channel=channel, thread=thread, message_id=id, sender="ada", text=text
    )


@dataclass
class Row:
    entry: InboxEntry
    delivered: bool = False


@dataclass
class Inbox:
    """Implements ports.agents.ConversationStore. `away` is how many further calls find no database."""

    rows: dict[str, Row] = field(default_factory=dict)
    said: dict[str, list[Turn]] = field(default_factory=lambda: defaultdict(list))
    summaries: dict[str, tuple[str, int]] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    away: int = 0
    purged: int = 0

    async def accept(self, message: ChannelMessage) -> Accepted:
        self._here()
        for row in self.rows.values():
            entry = row.entry
            if (entry.message.channel, entry.message.message_id) == (message.channel, message.message_id):
                return _accepted(row, duplicate=True)
        conversation = f"cnv_{message.channel}_{message.thread}"
        number = len(self.said[conversation]) + 1
        self.said[conversation].append(
            Turn(number=number, role=Role.USER, text=message.text, sent_ms=0, message_id=message.message_id)
        )
        entry = InboxEntry(id=f"msg_{len(self.rows)}", conversation_id=conversation, number=number, message=message)
        row = self.rows[entry.id] = Row(entry)
        return _accepted(row)

    async def history(self, tenant_id: str, conversation_id: str, *, limit: int = 500) -> History | None:
        self._here()
        if conversation_id in self.gone:
            return None
        summary, upto = self.summaries.get(conversation_id, ("", 0))
        turns = tuple(turn for turn in self.said[conversation_id] if turn.number > upto)[-limit:]
        return History(conversation_id=conversation_id, summary=summary, summary_upto=upto, turns=turns)

    async def save_summary(self, tenant_id: str, conversation_id: str, text: str, upto: int) -> bool:
        self._here()
        self.summaries[conversation_id] = (text, upto)
        return True

    async def bind_job(self, tenant_id: str, inbox_id: str, job_id: str) -> bool:
        self._here()
        row = self.rows[inbox_id]
        if row.entry.reply is not None or row.entry.job_id not in {"", job_id}:
            return False
        row.entry = msgspec.structs.replace(row.entry, job_id=job_id)
        return True

    async def answer(self, tenant_id: str, inbox_id: str, text: str, *, fallback: bool) -> bool:
        self._here()
        row = self.rows[inbox_id]
        if row.entry.reply is not None:
            return False
        row.entry = msgspec.structs.replace(row.entry, reply=text, fallback=fallback)
        self.written.append(text)
        turns = self.said[row.entry.conversation_id]
        turns.append(
            Turn(
                number=len(turns) + 1,
                role=Role.ASSISTANT,
                text=text,
                sent_ms=0,
                message_id=row.entry.message.message_id,
                fallback=fallback,
            )
        )
        return True

    async def delivered(self, tenant_id: str, inbox_id: str) -> bool:
        self._here()
        row = self.rows[inbox_id]
        before, row.delivered = row.delivered, True
        return not before

    async def unanswered(self, *, older_than_ms: int, limit: int, after: str | None = None) -> list[InboxEntry]:
        self._here()
        return [row.entry for row in self.rows.values() if row.entry.reply is None and row.entry.id > (after or "")][
            :limit
        ]

    async def undelivered(
        self, *, older_than_ms: int, limit: int, after: str | None = None, channel: Channel | None = None
    ) -> list[InboxEntry]:
        self._here()
        open_rows = [row.entry for row in self.rows.values() if row.entry.reply is not None and not row.delivered]
        return [entry for entry in open_rows if entry.id > (after or "")][:limit]

    async def of_thread(self, tenant_id: str, agent: str, channel: Channel, thread: str) -> Conversation | None:
        self._here()
        said = self.said.get(f"cnv_{channel}_{thread}")
        if not said:
            return None
        return Conversation(
            id=f"cnv_{channel}_{thread}",
            tenant_id=tenant_id,
            agent=agent,
            channel=channel,
            thread=thread,
            turns=len(said),
            created_ms=0,
            updated_ms=0,
        )

    async def turns(self, tenant_id: str, conversation_id: str, *, after: int, limit: int) -> list[Turn]:
        self._here()
        return [turn for turn in self.said[conversation_id] if turn.number > after][:limit]

    async def purge(self, *, limit: int) -> int:
        self.purged += 1
        return 0

    async def conversations(self, tenant_id: str, agent: str, query: ConversationQuery) -> list[Conversation]:
        raise NotImplementedError

    async def find(self, tenant_id: str, agent: str, conversation_id: str) -> Conversation | None:
        raise NotImplementedError

    async def delete(self, tenant_id: str, agent: str, conversation_id: str) -> bool:
        raise NotImplementedError

    def _here(self) -> None:
        if self.away > 0:
            self.away -= 1
            raise Overloaded("The database is away.")


def _accepted(row: Row, *, duplicate: bool = False) -> Accepted:
    entry = row.entry
    return Accepted(
        inbox_id=entry.id,
        conversation_id=entry.conversation_id,
        number=entry.number,
        duplicate=duplicate,
        job_id=entry.job_id,
        reply=entry.reply,
        fallback=entry.fallback,
        delivered=row.delivered,
    )


@dataclass
class Models:
    """Implements agents.dispatch.Dispatch: each new key takes the next of `script` (the last one repeats): a text or an error's code.

    `refusals` are raised by the next submissions; while `held` is set and not opened, no job ends.
    """

    script: Sequence[str | Done] = ("hi there",)
    refusals: list[JuntoError] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)  # by key
    ends: dict[str, Done] = field(default_factory=dict)  # by job
    errands: list[Errand] = field(default_factory=list)
    held: asyncio.Event | None = None

    async def submit(self, errand: Errand) -> str:
        if self.refusals:
            raise self.refusals.pop(0)
        if errand.key not in self.jobs:
            step = self.script[min(len(self.jobs), len(self.script) - 1)]
            id = self.jobs[errand.key] = f"job_{len(self.jobs)}"
            self.ends[id] = Done(text=step) if isinstance(step, str) else step
            self.errands.append(errand)
        return self.jobs[errand.key]

    async def follow(self, payer: Principal, job_id: str) -> AsyncGenerator[Grown | Done]:
        if job_id not in self.ends:
            raise NotFound("There is no such job.")
        end = self.ends[job_id]
        half = len(end.text) // 2
        yield Grown(0, end.text[:half])
        if self.held is not None:
            await self.held.wait()
        yield Grown(half, end.text[half:])
        yield end
