"""One message to an agent, from the moment it is accepted to the reply: accepted once, answered once, by a durable job.

Owns who waits for which answer in this process, and what people are told when there is none. The database decides what was
answered; every step may be done again, here or by another node, and changes nothing the second time. Never raises to a channel.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from junto.agents.dispatch import Grown
from junto.agents.model import check_message
from junto.agents.payer import check_allowed
from junto.core.errors import JuntoError, NotFound, Overloaded
from junto.core.near import did_you_mean
from junto.ports.agents import Channel, ChannelMessage, InboxEntry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from junto.agents.answering import Answerer
    from junto.agents.shelf import AgentShelf
    from junto.identity.principal import Principal
    from junto.ports.agents import Accepted, Agent, ConversationStore

    type Deliver = Callable[[ChannelMessage, str], Awaitable[bool]]
    type Watch = Callable[[Grown], None]

FETCHED: Final = frozenset({Channel.API, Channel.WEB})
"""Channels whose people come for their replies; to others they are brought."""
_MOST_BRINGING: Final = 32
_INTERNAL: Final = JuntoError("Something went wrong inside Junto.")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel gets for a message. One of the three: `text`, `refusal` (nothing was accepted), or neither: answered later.

    `fallback`: no model answered, and the text says so politely. `duplicate`: the reply was written before, or by somebody else.
    """

    message_id: str
    text: str = ""
    conversation_id: str = ""
    inbox_id: str = ""
    job_id: str = ""
    fallback: bool = False
    duplicate: bool = False
    refusal: JuntoError | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it is accepted, and the answer comes later."""
        return self.refusal is None and not self.text


class _Running:
    """An answer that comes to be, and those who watch it."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Reply]
        self.text = ""
        self.watches: list[Watch] = []

    def grew(self, grown: Grown) -> None:
        if grown.offset > len(self.text):
            return
        self.text = self.text[: grown.offset] + grown.text
        for watch in tuple(self.watches):
            watch(grown)


class Handler:
    """One for a process. `deliver` holds the channels that replies are brought to: it returns whether that is done with."""

    def __init__(
        self, store: ConversationStore, shelf: AgentShelf, answerer: Answerer, *, deliver: Mapping[Channel, Deliver]
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._answerer = answerer
        self._deliver = deliver
        self._running: dict[str, _Running] = {}
        self._delivering: set[str] = set()
        self._bringing: set[asyncio.Task[None]] = set()
        self._threads: dict[str, tuple[asyncio.Lock, int]] = {}
        self._is_open = True
        self._log = structlog.get_logger()

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Those that this process brings replies to."""
        return tuple(self._deliver)

    def agent(self, tenant_id: str, name: str) -> Agent:
        """The tenant's agent of that name that is enabled; raises NotFound, with near names."""
        agent = self._shelf.find(tenant_id, name)
        if agent is None:
            raise NotFound(f"There is no agent {name[:64]!r}.{did_you_mean(name, self._shelf.names(tenant_id))}")
        return agent

    async def handle_message(
        self, message: ChannelMessage, *, caller: Principal | None = None, watch: Watch | None = None
    ) -> Reply:
        """Accept a message and wait for its reply; `watch` is called with the text as it grows. Never raises but for cancellation.

        Who stops waiting leaves the answer to come to be all the same. `caller` is who asks by a key.
        """
        try:
            accepted = await self.accept(message, caller=caller)
        except JuntoError as refusal:
            return Reply(message_id=message.message_id, refusal=refusal)
        except Exception:  # noqa: BLE001  nothing of this is the channel's to deal with
            self._log.exception("agent_message_not_accepted", agent=message.agent)
            return Reply(message_id=message.message_id, refusal=_INTERNAL)
        running = self._running.get(accepted.inbox_id)
        if running is None:
            return _known(message, accepted)
        if watch is not None:
            if running.text:
                watch(Grown(0, running.text))
            running.watches.append(watch)
        try:
            reply = await asyncio.shield(running.task)
        except asyncio.CancelledError:
            if not running.task.cancelled():
                raise
            # The process stops: it is answered later.
            return msgspec.structs.replace(_known(message, accepted), duplicate=False)
        finally:
            if watch is not None:
                running.watches.remove(watch)
        return msgspec.structs.replace(reply, duplicate=reply.duplicate or accepted.duplicate)

    async def accept(self, message: ChannelMessage, *, caller: Principal | None = None) -> Accepted:
        """Write a message down, and begin with its answer; it is brought to its channel if that has one who delivers.

        Raises InvalidRequest for what can never be accepted (NotFound with near names), else a JuntoError: then it may come again.
        """
        if not self._is_open:
            raise Overloaded("This process is stopping.", retry_after=1.0)
        agent = self.agent(message.tenant_id, check_message(message).agent)
        if caller is not None:
            check_allowed(caller, agent)
        accepted = await self._store.accept(message)
        if accepted.reply is None:
            entry = InboxEntry(
                id=accepted.inbox_id,
                conversation_id=accepted.conversation_id,
                number=accepted.number,
                message=message,
                job_id=accepted.job_id,
            )
            self._begin(entry, agent, caller)
        return accepted

    def take_up(self, entry: InboxEntry) -> bool:
        """Answer a message that was accepted earlier, perhaps by a process that is gone; False where that is not for this one now."""
        agent = self._shelf.find(entry.message.tenant_id, entry.message.agent)
        channel = entry.message.channel
        if agent is None or not self._is_open or not (channel in FETCHED or channel in self._deliver):
            return False
        self._begin(entry, agent, None)
        return True

    async def bring(self, entry: InboxEntry) -> None:
        """Hand a reply to its channel, and note that it took it. Never raises but for cancellation."""
        deliver = self._deliver.get(entry.message.channel)
        if deliver is None or entry.reply is None or entry.id in self._delivering:
            return
        self._delivering.add(entry.id)
        try:
            if await deliver(entry.message, entry.reply):
                await self._store.delivered(entry.message.tenant_id, entry.id)
        except JuntoError as error:  # the next sweep tries again
            self._log.warning("agent_reply_not_delivered", agent=entry.message.agent, code=error.code)
        except Exception:  # noqa: BLE001  nothing of this is the channel's to deal with
            self._log.exception("agent_reply_not_delivered", agent=entry.message.agent)
        finally:
            self._delivering.discard(entry.id)

    def bring_later(self, entry: InboxEntry) -> None:
        """The same, beside whoever asks for it; not while many others are on their way: a channel may be slow."""
        if entry.id in self._delivering or len(self._bringing) >= _MOST_BRINGING or not self._is_open:
            return
        task = asyncio.create_task(self.bring(entry), name=f"agent reply {entry.id}")
        self._bringing.add(task)
        task.add_done_callback(self._bringing.discard)

    @property
    def busy(self) -> int:
        """How many answers come to be here, or are brought to their channels."""
        return len(self._running) + len(self._bringing)

    async def stop(self) -> None:
        """Accept no more and let go of what runs: it is accepted, and taken up by the next process. Safe to call twice."""
        self._is_open = False
        tasks = [*(running.task for running in self._running.values()), *self._bringing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, entry: InboxEntry, agent: Agent, caller: Principal | None) -> None:
        if entry.id in self._running:
            return
        running = self._running[entry.id] = _Running()
        running.task = asyncio.create_task(self._run(entry, agent, caller, running), name=f"agent message {entry.id}")
        running.task.add_done_callback(lambda _: self._running.pop(entry.id, None))

    async def _run(self, entry: InboxEntry, agent: Agent, caller: Principal | None, running: _Running) -> Reply:
        reply = Reply(
            message_id=entry.message.message_id,
            conversation_id=entry.conversation_id,
            inbox_id=entry.id,
            job_id=entry.job_id,
        )
        try:
            async with _Turn(self._threads, entry.conversation_id):  # the next message knows the answer to this one
                found = await self._answerer.answer(entry, agent, caller, running.grew)
        except JuntoError as error:  # the database is away: a sweep takes it up again
            self._log.warning("agent_message_waits", agent=entry.message.agent, code=error.code)
            return reply
        except Exception:  # noqa: BLE001  nothing of this is the channel's to deal with
            self._log.exception("agent_message_failed", agent=entry.message.agent)
            return reply
        if found is None:
            gone = NotFound("The conversation was deleted.")
            return msgspec.structs.replace(reply, refusal=gone)
        reply = msgspec.structs.replace(
            reply, text=found.text, fallback=found.fallback, job_id=found.job_id, duplicate=not found.is_first
        )
        await self._hand_over(entry, reply)
        return reply

    async def _hand_over(self, entry: InboxEntry, reply: Reply) -> None:
        """Who has written the answer brings it; what people come for is at its place."""
        if reply.duplicate:
            return
        if entry.message.channel in self._deliver:
            await self.bring(msgspec.structs.replace(entry, reply=reply.text))
        elif entry.message.channel in FETCHED:
            try:
                await self._store.delivered(entry.message.tenant_id, entry.id)
            except JuntoError as error:
                self._log.warning("agent_reply_not_noted", agent=entry.message.agent, code=error.code)


class _Turn:
    """One after the other within a conversation; the others do not wait."""

    def __init__(self, locks: dict[str, tuple[asyncio.Lock, int]], key: str) -> None:
        self._locks = locks
        self._key = key

    async def __aenter__(self) -> None:
        lock, users = self._locks.get(self._key, (None, 0))
        lock = lock or asyncio.Lock()
        self._locks[self._key] = (lock, users + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._locks[self._key][0].release()
        self._leave()

    def _leave(self) -> None:
        lock, users = self._locks.pop(self._key)
        if users > 1:
            self._locks[self._key] = (lock, users - 1)


def _known(message: ChannelMessage, accepted: Accepted) -> Reply:
    """The reply to a message that was answered before."""
    return Reply(
        message_id=message.message_id,
        text=accepted.reply or "",
        conversation_id=accepted.conversation_id,
        inbox_id=accepted.inbox_id,
        job_id=accepted.job_id,
        fallback=accepted.fallback,
        duplicate=True,
    )
