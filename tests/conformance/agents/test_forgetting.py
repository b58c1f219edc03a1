"""What is deleted or outlives its retention is gone from every table, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from junto.core.errors import NotFound
from junto.ports.agents import AgentChanges, ConversationQuery
from junto.storage.retention import Retention
from junto.storage.tables import CONVERSATIONS, INBOX, TURNS

from .lobby import DAY_MS, OURS, THEIRS, Lobby

pytestmark = pytest.mark.anyio


class NoClock:
    """Nothing but exchanges is looked at by this process's clock."""

    def wall_ms(self) -> int:
        raise AssertionError

    def monotonic(self) -> float:
        raise AssertionError


async def test_a_deleted_conversation_takes_turns_summary_and_inbox_with_it(lobby: Lobby) -> None:
    gone = await lobby.answered()
    await lobby.store.save_summary(OURS, gone.conversation_id, "They greeted.", 2)
    await lobby.say("Still open.", "m2")
    kept = await lobby.answered(thread="another", id="m3")
    theirs = await lobby.answered(tenant_id=THEIRS)
    assert await lobby.store.delete(OURS, "ada", gone.conversation_id)
    assert not await lobby.store.delete(OURS, "ada", gone.conversation_id)
    assert {row["id"] for row in await lobby.rows(CONVERSATIONS)} == {kept.conversation_id, theirs.conversation_id}
    assert {row["conversation_id"] for row in await lobby.rows(TURNS)} == {kept.conversation_id, theirs.conversation_id}
    assert {row["id"] for row in await lobby.rows(INBOX)} == {kept.inbox_id, theirs.inbox_id}


async def test_what_was_deleted_cannot_be_answered_any_more_and_may_be_said_anew(lobby: Lobby) -> None:
    gone = await lobby.say()
    assert await lobby.store.delete(OURS, "ada", gone.conversation_id)
    assert not await lobby.store.answer(OURS, gone.inbox_id, "Too late.", fallback=False)
    assert not await lobby.store.delivered(OURS, gone.inbox_id)
    again = await lobby.say()
    assert (again.duplicate, again.number, again.conversation_id != gone.conversation_id) == (False, 1, True)


async def test_deleting_while_others_write_breaks_nobody_and_leaves_nothing_half(lobby: Lobby) -> None:
    first = await lobby.say()
    work = [lobby.say(f"text {number}", f"n{number}") for number in range(6)]
    answers = [lobby.store.answer(OURS, first.inbox_id, "Hi.", fallback=False) for _ in range(3)]
    deletions = [lobby.store.delete(OURS, "ada", first.conversation_id) for _ in range(3)]
    await asyncio.gather(*work, *answers, *deletions)
    conversations = {row["id"]: row["turns"] for row in await lobby.rows(CONVERSATIONS)}
    turns = [(row["conversation_id"], row["number"]) for row in await lobby.rows(TURNS)]
    assert first.conversation_id not in conversations
    assert sorted(turns) == sorted((id, number + 1) for id, most in conversations.items() for number in range(most))
    assert {row["conversation_id"] for row in await lobby.rows(INBOX)} == set(conversations)


async def test_a_deleted_agent_takes_all_its_conversations_with_it_and_no_others(lobby: Lobby) -> None:
    for number in range(3):
        await lobby.answered(id=f"m{number}", thread=f"thread-{number}")
    theirs = await lobby.answered(tenant_id=THEIRS)
    assert await lobby.agents.delete(OURS, "ada")
    assert not await lobby.agents.delete(OURS, "ada")
    assert await lobby.left() == (1, 2, 1)
    assert await lobby.store.find(THEIRS, "ada", theirs.conversation_id) is not None
    assert await lobby.agents.find(OURS, "ada") is None


async def test_an_agent_that_is_deleted_while_it_is_spoken_to_is_gone_whole(lobby: Lobby) -> None:
    async def say(number: int) -> None:
        try:
            await lobby.answered(id=f"m{number}", thread=f"thread-{number % 3}")
        except (NotFound, AssertionError):
            return  # it came too late, or its answer did

    await asyncio.gather(*(say(number) for number in range(6)), lobby.agents.delete(OURS, "ada"))
    assert await lobby.agents.find(OURS, "ada") is None
    assert await lobby.left() == (0, 0, 0)


async def test_a_conversation_goes_when_its_last_message_is_older_than_its_agent_keeps_it(lobby: Lobby) -> None:
    await lobby.agents.update(OURS, "ada", AgentChanges(retention_days=7))
    old = [await lobby.answered(id=f"m{number}", thread=f"thread-{number}") for number in range(3)]
    forever = await lobby.answered(tenant_id=THEIRS)
    await lobby.age(CONVERSATIONS, "updated_ms", 8 * DAY_MS)
    alive = await lobby.answered(id="m9", thread="thread-2")  # which is a sign of life
    assert alive.conversation_id == old[2].conversation_id
    retention = Retention(lobby.sessions, NoClock(), days=None, batch_rows=1, pause=0, along=[lobby.store.purge])
    assert await retention.sweep() == 2
    assert await retention.sweep() == 0
    left = {row["id"] for row in await lobby.rows(CONVERSATIONS)}
    assert left == {old[2].conversation_id, forever.conversation_id}
    assert await lobby.left() == (2, 6, 3)


async def test_what_is_younger_than_its_agent_keeps_it_stays(lobby: Lobby) -> None:
    await lobby.agents.update(OURS, "ada", AgentChanges(retention_days=7))
    await lobby.answered()
    await lobby.age(CONVERSATIONS, "updated_ms", 6 * DAY_MS)
    assert await lobby.store.purge(limit=10) == 0
    assert len(await lobby.store.conversations(OURS, "ada", ConversationQuery())) == 1
