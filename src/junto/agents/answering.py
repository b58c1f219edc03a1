"""The answer to one accepted message: its prompt, the job, the reply written down. Every step may be done twice.

A job is known by its message: submitted again, it is the job that is there already. The first reply that is written down counts.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from junto.agents.dispatch import Done, Errand, Grown
from junto.agents.history import asked, budget_of, fold, kept_summary, shown
from junto.agents.model import AGENT_PREFIX
from junto.agents.payer import check_allowed, opens
from junto.agents.prompt import system_prompt
from junto.core.errors import JuntoError, NotFound, Overloaded, RateLimited
from junto.ports.agents import Role, Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.agents.dispatch import Dispatch
    from junto.agents.history import Fold
    from junto.agents.payer import Payers
    from junto.identity.principal import Principal
    from junto.ports.agents import Agent, ConversationStore, History, InboxEntry

FALLBACK: Final = "Sorry, I cannot answer right now. Please try again in a few minutes."
DEADLINE_SECONDS: Final = 180.0  # of an answer; people have gone by then
_SUMMARY_SECONDS: Final = 45.0
_TRIES: Final = 4
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
_UNKNOWN: Final = "unknown"
_PAGE: Final = 100  # turns
_COUNCIL: Final = "council/"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to a message. `is_first`: it was written down just now, by this call."""

    text: str
    fallback: bool
    job_id: str
    is_first: bool


class Answerer:
    """Answers accepted messages. `context_of` says of a model's name how many tokens it holds, as far as that is known."""

    def __init__(
        self,
        store: ConversationStore,
        dispatch: Dispatch,
        payers: Payers,
        *,
        context_of: Callable[[str], int | None],
        deadline_s: float = DEADLINE_SECONDS,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._payers = payers
        self._context_of = context_of
        self._deadline_s = deadline_s
        self._pause = pause
        self._log = structlog.get_logger()

    async def answer(
        self, entry: InboxEntry, agent: Agent, caller: Principal | None, grew: Callable[[Grown], None]
    ) -> Answered | None:
        """Have it answered and written down; None where its conversation is gone. Raises Overloaded: then it is still to be done."""
        tenant_id, job_id = entry.message.tenant_id, entry.job_id
        try:
            payer = self._payers.of(entry.message, caller)
            if not job_id:
                history = await self._store.history(tenant_id, entry.conversation_id)
                if history is None:
                    return None
                job_id = await self._submitted(await self._errand(entry, agent, payer, history))
                if not await self._store.bind_job(tenant_id, entry.id, job_id):
                    return await self._written_before(entry)
            done = await self._followed(payer, job_id, grew)
        except Overloaded:
            raise
        except JuntoError as error:
            done = Done(error_code=error.code)
        except Exception:  # noqa: BLE001  whatever is wrong, somebody waits for an answer
            self._log.exception("agent_job_failed", agent=agent.name)
            done = Done(error_code=JuntoError.code)
        if not done.text:
            self._log.warning(
                "agent_fallback",
                tenant=tenant_id,
                agent=agent.name,
                model=agent.model,
                job_id=job_id,
                code=done.error_code or _UNKNOWN,
            )
        text = done.text or FALLBACK
        if await self._store.answer(tenant_id, entry.id, text, fallback=not done.text):
            return Answered(text=text, fallback=not done.text, job_id=job_id, is_first=True)
        return await self._written_before(entry)

    async def _errand(self, entry: InboxEntry, agent: Agent, payer: Principal, history: History) -> Errand:
        check_allowed(payer, agent)
        system = system_prompt(agent)
        budget = budget_of(self._context_of(agent.model), system)
        turns = asked(history.turns, entry.number)
        if not turns or turns[-1].number != entry.number:  # the message after it was answered first, from a summary
            turns = (_turn_of(entry),)
        summary = history.summary
        step = fold(summary, turns, budget)
        if step is not None and (new := await self._summarised(entry, agent, payer, step)):
            summary, turns = new, tuple(turn for turn in turns if turn.number > step.upto)
        errand = msgspec.structs.replace(
            _blank(entry, agent, payer), messages=shown(system, summary, turns, budget), deadline_s=self._deadline_s
        )
        return _by_name(errand, agent) if agent.model.startswith(_COUNCIL) else errand

    async def _summarised(self, entry: InboxEntry, agent: Agent, payer: Principal, step: Fold) -> str:
        """A new summary, written down; "" where none could be made: then what does not fit is left out."""
        errand = msgspec.structs.replace(
            _blank(entry, agent, payer),
            key=f"summary/{entry.conversation_id}/{step.upto}",
            messages=step.messages,
            max_tokens=step.max_tokens,
            deadline_s=min(_SUMMARY_SECONDS, self._deadline_s),
        )
        try:
            job_id = await self._dispatch.submit(errand)
            done = await self._followed(payer, job_id, lambda _: None)
            text = kept_summary(done.text)
            if text:
                await self._store.save_summary(entry.message.tenant_id, entry.conversation_id, text, step.upto)
        except JuntoError as error:
            done, text = Done(error_code=error.code), ""
        if not text:
            self._log.warning("agent_summary_failed", agent=agent.name, code=done.error_code or _UNKNOWN)
        return text

    async def _submitted(self, errand: Errand) -> str:
        """Submit, again where that may help: the key makes it one job however often it is."""
        for attempt in range(_TRIES):
            try:
                return await self._dispatch.submit(errand)
            except (Overloaded, RateLimited) as error:
                if attempt == _TRIES - 1:
                    raise
                own = _FIRST_PAUSE * 2.0**attempt
                await self._pause(min(max(own, error.retry_after or 0.0), _LONGEST_PAUSE))
        raise AssertionError  # the last try returns or raises

    async def _followed(self, payer: Principal, job_id: str, grew: Callable[[Grown], None]) -> Done:
        async with aclosing(self._dispatch.follow(payer, job_id)) as events:
            async for event in events:
                if isinstance(event, Done):
                    return msgspec.structs.replace(event, text=event.text.strip())
                grew(event)
        raise NotFound("The job is gone.")

    async def _written_before(self, entry: InboxEntry) -> Answered | None:
        """The reply that somebody else has written down; None where the conversation is gone. Raises Overloaded while there is none."""
        tenant_id, after = entry.message.tenant_id, entry.number
        while turns := await self._store.turns(tenant_id, entry.conversation_id, after=after, limit=_PAGE):
            for turn in turns:
                if turn.role is Role.ASSISTANT and turn.message_id == entry.message.message_id:
                    return Answered(text=turn.text, fallback=turn.fallback, job_id=entry.job_id, is_first=False)
            after = turns[-1].number
        if await self._store.history(tenant_id, entry.conversation_id, limit=1) is None:
            return None
        raise Overloaded("Another job answers the message.")


def _blank(entry: InboxEntry, agent: Agent, payer: Principal) -> Errand:
    floor = agent.sensitivity
    return Errand(
        key=f"message/{entry.id}",
        payer=payer,
        model=agent.model,
        messages=(),
        sensitivity="" if floor is None else floor.label,
        deadline_s=DEADLINE_SECONDS,
        metadata={
            "agent": agent.name,
            "conversation": entry.conversation_id,
            "channel": entry.message.channel.value,
            "tools": "on" if agent.tools else "off",
        },
        opens=opens(payer, agent),
    )


def _by_name(errand: Errand, agent: Agent) -> Errand:
    """Ask for the agent instead of its council: then its words end what the system says in each of the calls, as they do in any chat.

    A council takes what it is asked, system text too, for material.
    """
    return msgspec.structs.replace(errand, model=AGENT_PREFIX + agent.name, messages=errand.messages[1:])


def _turn_of(entry: InboxEntry) -> Turn:
    message = entry.message
    return Turn(
        number=entry.number,
        role=Role.USER,
        text=message.text,
        sent_ms=message.sent_ms,
        message_id=message.message_id,
        attachments=message.attachments,
    )
