"""A message is accepted once and answered once, whoever says so how often; and what was said is told in its order."""

from __future__ import annotations

import asyncio

import pytest

from junto.core.errors import NotFound
from junto.ports.agents import AgentChanges, Attachment, Channel, ConversationQuery, Role

from .lobby import OURS, THEIRS, Lobby, message

pytestmark = pytest.mark.anyio


async def test_a_message_is_written_down_with_its_conversation_and_its_turn(lobby: Lobby) -> None:
    first = await lobby.say("Hello?", attachments=(Attachment(name="a.pdf", url="https://x.example/a"),))
    assert (first.duplicate, first.reply, first.number, first.job_id) == (False, None, 1, "")
    [turn] = await lobby.turns(first)
    assert (turn.number, turn.role, turn.text, turn.sender) == (1, Role.USER, "Hello?", "U1")
    assert (turn.message_id, turn.sent_ms, turn.tokens > 0) == ("m1", 1_700_000_000_000, True)
    assert turn.attachments == (Attachment(name="a.pdf", url="https://x.example/a"),)
    found = await lobby.store.find(OURS, "ada", first.conversation_id)
    assert found is not None
    assert (found.agent, found.channel, found.thread, found.turns) == ("ada", Channel.SLACK, "thread-1", 1)


async def test_the_same_message_again_changes_nothing_and_gets_the_answer_of_the_first(lobby: Lobby) -> None:
    first = await lobby.say()
    again = await lobby.say("Hello, edited")
    assert (again.inbox_id, again.conversation_id, again.number) == (first.inbox_id, first.conversation_id, 1)
    assert (again.duplicate, again.reply) == (True, None)
    assert await lobby.store.bind_job(OURS, first.inbox_id, "job_1")
    assert await lobby.store.answer(OURS, first.inbox_id, "Hi.", fallback=True)
    answered = await lobby.say()
    assert (answered.duplicate, answered.reply, answered.fallback) == (True, "Hi.", True)
    assert (answered.job_id, answered.delivered) == ("job_1", False)
    assert await lobby.store.delivered(OURS, first.inbox_id)
    assert (await lobby.say()).delivered
    assert await lobby.left() == (1, 2, 1)


async def test_one_id_is_another_message_in_another_channel_or_of_another_agent(lobby: Lobby) -> None:
    await lobby.agents.create(lobby.agent("bob"))
    told = [await lobby.say(), await lobby.say(channel=Channel.WEB), await lobby.say(agent="bob")]
    told.append(await lobby.say(tenant_id=THEIRS))
    assert not any(accepted.duplicate for accepted in told)
    assert len({accepted.conversation_id for accepted in told}) == 4


async def test_many_who_deliver_one_message_at_once_make_one_of_it(lobby: Lobby) -> None:
    told = await asyncio.gather(*(lobby.say() for _ in range(12)))
    assert sum(not accepted.duplicate for accepted in told) == 1
    assert len({accepted.inbox_id for accepted in told}) == 1
    assert await lobby.left() == (1, 1, 1)


async def test_one_message_that_comes_at_once_in_two_threads_makes_one_conversation(lobby: Lobby) -> None:
    told = await asyncio.gather(*(lobby.say(thread=f"thread-{number % 4}") for number in range(12)))
    assert len({(accepted.inbox_id, accepted.conversation_id) for accepted in told}) == 1
    assert await lobby.left() == (1, 1, 1)


async def test_messages_of_one_thread_that_come_at_once_are_counted_in_one_order(lobby: Lobby) -> None:
    told = await asyncio.gather(*(lobby.say(f"text {number}", f"m{number}") for number in range(12)))
    assert sorted(accepted.number for accepted in told) == list(range(1, 13))
    turns = await lobby.turns(told[0])
    assert [turn.number for turn in turns] == list(range(1, 13))
    by_id = {turn.message_id: turn.text for turn in turns}
    assert by_id == {f"m{number}": f"text {number}" for number in range(12)}


async def test_many_who_answer_at_once_give_one_answer(lobby: Lobby) -> None:
    accepted = await lobby.say()
    won = await asyncio.gather(
        *(lobby.store.answer(OURS, accepted.inbox_id, f"answer {number}", fallback=False) for number in range(12))
    )
    assert sum(won) == 1
    question, answer = await lobby.turns(accepted)
    assert (question.role, answer.role) == (Role.USER, Role.ASSISTANT)
    assert (answer.text, answer.message_id) == (f"answer {won.index(True)}", "m1")
    assert (await lobby.say()).reply == answer.text


async def test_questions_and_answers_at_once_leave_no_gap_and_no_two_of_one_number(lobby: Lobby) -> None:
    told = await asyncio.gather(*(lobby.answered(f"text {number}", f"m{number}") for number in range(8)))
    turns = await lobby.turns(told[0])
    assert [turn.number for turn in turns] == list(range(1, 17))
    for accepted in told:
        [question] = [turn for turn in turns if turn.number == accepted.number]
        [answer] = [turn for turn in turns if turn.message_id == question.message_id and turn.role is Role.ASSISTANT]
        assert (answer.text, answer.number > question.number) == (question.text.upper(), True)


async def test_an_agent_that_is_not_there_or_disabled_takes_no_message(lobby: Lobby) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await lobby.say(agent="nobody")
    await lobby.agents.update(OURS, "ada", AgentChanges(enabled=False))
    with pytest.raises(NotFound, match="ada"):
        await lobby.say()
    assert await lobby.left() == (0, 0, 0)


async def test_a_conversation_is_found_by_its_thread_in_its_channel_of_its_agent_only(lobby: Lobby) -> None:
    first = await lobby.say(channel=Channel.WEB, thread="-/v1")
    found = await lobby.store.of_thread(OURS, "ada", Channel.WEB, "-/v1")
    assert found is not None
    assert (found.id, found.turns, found.agent) == (first.conversation_id, 1, "ada")
    for tenant, agent, channel, thread in (
        (THEIRS, "ada", Channel.WEB, "-/v1"),
        (OURS, "bob", Channel.WEB, "-/v1"),
        (OURS, "ada", Channel.SLACK, "-/v1"),
        (OURS, "ada", Channel.WEB, "-/v2"),
    ):
        assert await lobby.store.of_thread(tenant, agent, channel, thread) is None


async def test_history_is_the_summary_and_the_turns_after_it(lobby: Lobby) -> None:
    for number in range(3):
        accepted = await lobby.answered(f"text {number}", f"m{number}")
    conversation = accepted.conversation_id
    history = await lobby.store.history(OURS, conversation)
    assert history is not None
    assert (history.summary, history.summary_upto) == ("", 0)
    assert [turn.text for turn in history.turns] == ["text 0", "TEXT 0", "text 1", "TEXT 1", "text 2", "TEXT 2"]
    assert await lobby.store.save_summary(OURS, conversation, "They greeted.", 4)
    history = await lobby.store.history(OURS, conversation)
    assert history is not None
    assert (history.summary, history.summary_upto) == ("They greeted.", 4)
    assert [turn.number for turn in history.turns] == [5, 6]
    last = await lobby.store.history(OURS, conversation, limit=1)
    assert last is not None
    assert [turn.number for turn in last.turns] == [6]
    assert await lobby.store.history(OURS, "cnv_none") is None


async def test_a_summary_goes_forward_only_and_not_past_what_was_said(lobby: Lobby) -> None:
    accepted = await lobby.answered()
    save = lobby.store.save_summary
    assert await save(OURS, accepted.conversation_id, "Up to 1.", 1)
    assert not await save(OURS, accepted.conversation_id, "Up to 1 again.", 1)
    assert not await save(OURS, accepted.conversation_id, "Up to 3.", 3)
    assert not await save(OURS, "cnv_none", "Of nothing.", 1)
    history = await lobby.store.history(OURS, accepted.conversation_id)
    assert history is not None
    assert history.summary == "Up to 1."


async def test_a_job_is_bound_once_and_not_to_what_is_answered(lobby: Lobby) -> None:
    accepted = await lobby.say()
    bind = lobby.store.bind_job
    assert [await bind(OURS, accepted.inbox_id, job) for job in ("job_1", "job_1", "job_2")] == [True, True, False]
    assert await lobby.store.answer(OURS, accepted.inbox_id, "Hi.", fallback=False)
    assert not await bind(OURS, accepted.inbox_id, "job_1")
    assert not await bind(OURS, "msg_none", "job_1")


async def test_recovery_finds_what_is_unanswered_and_what_is_undelivered(lobby: Lobby) -> None:
    waiting = [await lobby.say(f"text {number}", f"m{number}") for number in range(3)]
    theirs = await lobby.say("theirs", tenant_id=THEIRS, channel=Channel.WEB)
    found = await lobby.store.unanswered(older_than_ms=0, limit=10)
    assert [entry.id for entry in found] == [*(one.inbox_id for one in waiting), theirs.inbox_id]
    assert found[0].message == message("text 0", "m0")
    assert (found[3].message.tenant_id, found[3].message.text, found[3].reply) == (THEIRS, "theirs", None)
    assert await lobby.store.unanswered(older_than_ms=60_000, limit=10) == []
    after = await lobby.store.unanswered(older_than_ms=0, limit=1, after=waiting[0].inbox_id)
    assert [entry.id for entry in after] == [waiting[1].inbox_id]
    for one, tenant in ((waiting[0], OURS), (theirs, THEIRS)):
        assert not await lobby.store.delivered(tenant, one.inbox_id)
        assert await lobby.store.answer(tenant, one.inbox_id, "Hi.", fallback=False)
    undelivered = await lobby.store.undelivered(older_than_ms=0, limit=10)
    assert [(entry.id, entry.reply) for entry in undelivered] == [
        (waiting[0].inbox_id, "Hi."),
        (theirs.inbox_id, "Hi."),
    ]
    on_the_web = await lobby.store.undelivered(older_than_ms=0, limit=10, channel=Channel.WEB)
    assert [entry.id for entry in on_the_web] == [theirs.inbox_id]
    assert await lobby.store.delivered(THEIRS, theirs.inbox_id)
    assert not await lobby.store.delivered(THEIRS, theirs.inbox_id)
    assert [entry.id for entry in await lobby.store.undelivered(older_than_ms=0, limit=10)] == [waiting[0].inbox_id]


async def test_conversations_are_listed_newest_first_and_by_channel(lobby: Lobby) -> None:
    told = [await lobby.say(id=f"m{number}", thread=f"thread-{number}") for number in range(3)]
    on_the_web = await lobby.say(id="w", thread="w", channel=Channel.WEB)
    ids = [accepted.conversation_id for accepted in (*told, on_the_web)]

    async def listed(**query: object) -> list[str]:
        found = await lobby.store.conversations(OURS, "ada", ConversationQuery(**query))  # type: ignore[arg-type]
        return [one.id for one in found]

    assert await listed() == ids[::-1]
    assert await listed(limit=2) == ids[:1:-1]
    assert await listed(before=ids[2]) == ids[1::-1]
    assert await listed(channel=Channel.WEB) == ids[3:]
