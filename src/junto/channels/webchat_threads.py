"""The conversations of the web chat that this process shows live: what their pages are told, and who follows which answer.

What is true is in the database. Each node that shows a conversation follows its answers by itself, as jobs are followed from
anywhere; a signal tells it of messages that another node has taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import structlog

from junto.channels.webchat_log import EventLog
from junto.core.errors import JuntoError, Overloaded, RateLimited
from junto.ports.agents import Channel, ChannelMessage, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from junto.agents.dispatch import Grown
    from junto.agents.handler import Handler
    from junto.ports.agents import Conversation, ConversationStore, Turn
    from junto.ports.clock import Clock
    from junto.ports.signals import Signals

TOPIC: Final = "webchat.said"
SHOWN_TURNS: Final = 100
MOST_WAITING: Final = 4  # messages of one conversation without an answer
MESSAGES_A_MINUTE: Final = 20
_AT_ONCE: Final = 6
_AGAIN_SECONDS: Final = 2.0
_KEPT_SECONDS: Final = 300.0  # a conversation that nobody looks at
_MOST_KEPT: Final = 500


class Place(NamedTuple):
    """A conversation's address. `agent` is the agent's name, `thread` the conversation's in the web channel."""

    tenant_id: str
    agent: str
    thread: str


class TooFast(RateLimited):
    """The person says more than anybody reads."""

    code = "too_fast"


class Partial(msgspec.Struct):
    """An answer as far as it has come."""

    text: str = ""


class LiveThread:
    """One conversation, for all of its pages that are open at this node."""

    def __init__(
        self, place: Place, log_id: str, *, handler: Handler, store: ConversationStore, signals: Signals, clock: Clock
    ) -> None:
        self.place = place
        self.log = EventLog(log_id)
        self.sockets = 0
        self.left_at = clock.monotonic()
        self._handler = handler
        self._store = store
        self._signals = signals
        self._clock = clock
        self._following: dict[str, tuple[asyncio.Task[None], Partial]] = {}
        self._seen = 0  # the number of the last turn that pages were told of
        self._allowance = float(_AT_ONCE)
        self._counted_at = clock.monotonic()
        self._background: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger()

    @property
    def is_idle(self) -> bool:
        """Whether nobody looks at it, and nothing is awaited."""
        return not self.sockets and not self._following and not self._background

    async def say(self, id: str, text: str, sender: str) -> None:
        """Have a message accepted and its answer shown; raises JuntoError where it is not accepted."""
        self._count(id)
        message = self._message(id, text, sender, self._clock.wall_ms())
        accepted = await self._handler.accept(message)
        self._show_said(id, text, message.sent_ms)
        if accepted.reply is not None:
            self._show_reply(id, accepted.reply, fallback=accepted.fallback)
            return
        self._follow(id, message)
        if not accepted.duplicate:
            await self._signals.publish(TOPIC, msgspec.json.encode((self.log.id, *self.place)))

    async def shown(self) -> tuple[int, list[dict[str, Any]]]:
        """All that a new page shows, and the event after which it goes on. What has no answer yet is followed from now on."""
        cursor = self.log.last
        partials = {id: partial.text for id, (_, partial) in self._following.items()}
        turns = await self._latest(SHOWN_TURNS)
        messages = [self._shown_turn(turn) for turn in turns]
        for id, text in partials.items():
            if text and not any(one["id"] == id and one["role"] == Role.ASSISTANT for one in messages):
                messages.append({"id": id, "role": Role.ASSISTANT, "text": text, "sent_ms": 0, "partial": True})
        self._take_up(turns)
        return cursor, messages

    def look_again(self) -> None:
        """Another node has taken a message of this conversation."""
        self._beside(self._refresh())

    async def stop(self) -> None:
        """Follow nothing any more."""
        tasks = [*(task for task, _ in self._following.values()), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refresh(self) -> None:
        with contextlib.suppress(JuntoError):  # the database is away; the next page that is opened finds it
            turns = [turn for turn in await self._latest(2 * MOST_WAITING) if turn.number > self._seen]
            for turn in turns:
                id = self._id_of(turn)
                if turn.role is Role.USER:
                    self._show_said(id, turn.text, turn.sent_ms)
                else:
                    self._show_reply(id, turn.text, fallback=turn.fallback)
            self._take_up(turns)

    async def _latest(self, count: int) -> list[Turn]:
        tenant_id, agent, thread = self.place
        found: Conversation | None = await self._store.of_thread(tenant_id, agent, Channel.WEB, thread)
        if found is None:
            return []
        after = max(0, found.turns - count)
        return await self._store.turns(tenant_id, found.id, after=after, limit=count + MOST_WAITING)

    def _take_up(self, turns: Iterable[Turn]) -> None:
        """Follow the answers to what has none among these turns."""
        answered = {turn.message_id for turn in turns if turn.role is Role.ASSISTANT}
        for turn in turns:
            self._seen = max(self._seen, turn.number)
            if turn.role is Role.USER and turn.message_id not in answered:
                id = self._id_of(turn)
                self._follow(id, self._message(id, turn.text, turn.sender, turn.sent_ms))

    def _follow(self, id: str, message: ChannelMessage) -> None:
        if id in self._following:
            return
        self.log.add("typing", id=id)
        partial = Partial()
        task = asyncio.create_task(self._until_answered(id, message, partial), name=f"webchat {id}")
        self._following[id] = (task, partial)
        task.add_done_callback(lambda _: self._following.pop(id, None))

    async def _until_answered(self, id: str, message: ChannelMessage, partial: Partial) -> None:
        def grew(grown: Grown) -> None:
            partial.text = partial.text[: grown.offset] + grown.text
            self.log.add("delta", id=id, offset=grown.offset, text=grown.text)

        while True:
            reply = await self._handler.handle_message(message, watch=grew)
            if reply.text:
                self._show_reply(id, reply.text, fallback=reply.fallback)
                return
            if reply.refusal is not None and not isinstance(reply.refusal, Overloaded):
                self.log.add("error", id=id, code=reply.refusal.code, message=reply.refusal.message)
                return
            await asyncio.sleep(_AGAIN_SECONDS)  # accepted, and answered by whoever takes it up

    def _count(self, id: str) -> None:
        """Raise TooFast where the person has said enough for now. The same message again waits for no answer of its own."""
        now = self._clock.monotonic()
        gained = (now - self._counted_at) * MESSAGES_A_MINUTE / 60
        self._allowance, self._counted_at = min(float(_AT_ONCE), self._allowance + gained), now
        if self._allowance < 1:
            raise TooFast("Too many messages at once.", retry_after=(1 - self._allowance) * 60 / MESSAGES_A_MINUTE)
        if id not in self._following and len(self._following) >= MOST_WAITING:
            raise TooFast("The messages before have to be answered first.", retry_after=_AGAIN_SECONDS)
        self._allowance -= 1

    def _show_said(self, id: str, text: str, sent_ms: int) -> None:
        self.log.add("accepted", id=id, text=text, sent_ms=sent_ms)

    def _show_reply(self, id: str, text: str, *, fallback: bool) -> None:
        self.log.add("reply", id=id, text=text, fallback=fallback, sent_ms=self._clock.wall_ms())

    def _shown_turn(self, turn: Turn) -> dict[str, Any]:
        return {
            "id": self._id_of(turn),
            "role": turn.role,
            "text": turn.text,
            "sent_ms": turn.sent_ms,
            "fallback": turn.fallback,
        }

    def _message(self, id: str, text: str, sender: str, sent_ms: int) -> ChannelMessage:
        return ChannelMessage(
            tenant_id=self.place.tenant_id,
            agent=self.place.agent,
            channel=Channel.WEB,
            thread=self.place.thread,
            message_id=f"{self.place.thread}/{id}",
            sender=sender,
            text=text,
            sent_ms=sent_ms,
        )

    def _id_of(self, turn: Turn) -> str:
        return turn.message_id.removeprefix(f"{self.place.thread}/")

    def _beside(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


class LiveThreads:
    """Every conversation that is shown here. `make_id` makes ids of logs, which no two logs of any node have in common."""

    def __init__(
        self,
        *,
        handler: Handler,
        store: ConversationStore,
        signals: Signals,
        clock: Clock,
        make_id: Callable[[], str],
    ) -> None:
        self._handler = handler
        self._store = store
        self._signals = signals
        self._clock = clock
        self._make_id = make_id
        self._threads: dict[Place, LiveThread] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to hear of other nodes."""
        self._unsubscribe = self._signals.subscribe(TOPIC, self._heard)

    @property
    def sockets(self) -> int:
        """How many pages are open here."""
        return sum(thread.sockets for thread in self._threads.values())

    def get(self, place: Place) -> LiveThread:
        """The conversation there; nothing is looked up."""
        if place not in self._threads:
            self._forget()
            self._threads[place] = LiveThread(
                place,
                self._make_id(),
                handler=self._handler,
                store=self._store,
                signals=self._signals,
                clock=self._clock,
            )
        return self._threads[place]

    def enter(self, thread: LiveThread) -> None:
        """A page is open."""
        thread.sockets += 1

    def leave(self, thread: LiveThread) -> None:
        """It is not any more. What is shown to nobody is kept for a while: people come back."""
        thread.sockets -= 1
        thread.left_at = self._clock.monotonic()

    async def stop(self) -> None:
        """Hear and follow nothing any more; safe to call twice."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        await asyncio.gather(*(thread.stop() for thread in self._threads.values()))
        self._threads.clear()

    def _heard(self, payload: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            log_id, *place = msgspec.json.decode(payload, type=tuple[str, str, str, str])
            thread = self._threads.get(Place(*place))
            if thread is not None and thread.log.id != log_id:
                thread.look_again()

    def _forget(self) -> None:
        now = self._clock.monotonic()
        too_many = len(self._threads) - _MOST_KEPT
        for place, thread in tuple(self._threads.items()):
            if thread.is_idle and (too_many > 0 or now - thread.left_at > _KEPT_SECONDS):
                del self._threads[place]
                too_many -= 1
