"""A message is accepted once and answered once, whatever comes twice, fails or dies in between."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from junto.agents.answering import FALLBACK, Answerer
from junto.agents.dispatch import Done, Errand, Grown
from junto.agents.handler import Handler
from junto.agents.payer import Payers, check_allowed, opens, owned, owner_of
from junto.agents.prompt import CLAUSE
from junto.agents.recovery import Recovery
from junto.agents.shelf import AgentShelf
from junto.core.errors import BudgetExceeded, Forbidden, NotFound, NotServable, Overloaded, RateLimited
from junto.core.sensitivity import Sensitivity
from junto.identity.keyring import Keyring
from junto.identity.principal import Principal
from junto.ports.agents import Channel
from tests.unit.agents.inbox import AGENT, Inbox, Models, message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.core.errors import JuntoError
    from junto.ports.agents import Agent, ChannelMessage

pytestmark = pytest.mark.anyio


class Shelf(AgentShelf):
    def __init__(self, agents: Sequence[Agent]) -> None:
        super().__init__()
        self.agents = {agent.name: agent for agent in agents}

    def find(self, tenant_id: str, name: str) -> Agent | None:
        return self.agents.get(name) if tenant_id == "default" else None

    def names(self, tenant_id: str) -> tuple[str, ...]:
        return tuple(self.agents) if tenant_id == "default" else ()


class House:
    """A process: what it holds in memory is its own, inbox and models may be shared with others."""

    def __init__(
        self, inbox: Inbox | None = None, models: Models | None = None, agent: Agent = AGENT, context: int | None = None
    ) -> None:
        self.inbox = inbox or Inbox()
        self.models = models or Models()
        self.pauses: list[float] = []
        self.brought: list[tuple[str, str]] = []
        self.takes = True
        self.shelf = Shelf([agent])
        answerer = Answerer(
            self.inbox,
            self.models,
            Payers(Keyring(), guests_to_cloud=lambda: False),
            context_of=lambda _: context,
            pause=self._pause,
        )
        self.handler = Handler(self.inbox, self.shelf, answerer, deliver={Channel.SLACK: self._bring})
        self.recovery = Recovery(self.inbox, self.handler, is_alone=True)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _bring(self, message: ChannelMessage, text: str) -> bool:
        self.brought.append((message.message_id, text))
        return self.takes

    async def settle(self) -> None:
        """Let what runs end."""
        await until(lambda: not self.handler.busy)


async def until(holds: Callable[[], bool]) -> None:
    """Let others run until that is so."""
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to pass")


async def test_a_message_is_answered() -> None:
    house = House()
    reply = await house.handler.handle_message(message())
    assert (reply.text, reply.fallback, reply.refusal, reply.duplicate) == ("hi there", False, None, False)
    (errand,) = house.models.errands
    assert errand.messages[0]["content"].endswith(CLAUSE)
    assert errand.messages[1:] == ({"role": "user", "content": "hello"},)
    assert errand.metadata["tools"] == "off"
    assert (errand.payer.client_id, errand.payer.key_id) == ("agents:default", "")


async def test_an_agent_whose_model_is_a_council_is_asked_for_by_its_name() -> None:
    """So that its words are the system's in every call of the council, and no material in them."""
    house = House(agent=msgspec.structs.replace(AGENT, model="council/debate"))
    await house.handler.handle_message(message())
    (errand,) = house.models.errands
    assert errand.model == "agent/front-desk"
    assert errand.messages == ({"role": "user", "content": "hello"},)


async def test_the_agents_floor_holds_for_its_jobs() -> None:
    house = House(agent=msgspec.structs.replace(AGENT, sensitivity=Sensitivity.CONFIDENTIAL, tools=True))
    await house.handler.handle_message(message())
    assert house.models.errands[0].sensitivity == "confidential"
    assert house.models.errands[0].metadata["tools"] == "on"


async def test_the_next_message_knows_the_one_before() -> None:
    house = House(models=Models(script=("one", "two", "three")))
    for number in (1, 2, 3):
        await house.handler.handle_message(message(f"question {number}", id=f"m{number}"))
    assert [each["content"] for each in house.models.errands[-1].messages[1:]] == [
        "question 1", "one", "question 2", "two", "question 3"
    ]  # fmt: skip


async def test_messages_of_one_thread_are_answered_one_after_the_other() -> None:
    """Those of another one do not wait for them."""
    house = House(models=Models(script=("one", "two", "other"), held=asyncio.Event()))
    first = asyncio.create_task(house.handler.handle_message(message("question 1", id="m1")))
    second = asyncio.create_task(house.handler.handle_message(message("question 2", id="m2")))
    other = asyncio.create_task(house.handler.handle_message(message("elsewhere", id="m3", thread="t2")))
    await until(lambda: not len(house.models.errands) < 2)
    assert [errand.messages[-1]["content"] for errand in house.models.errands] == ["question 1", "elsewhere"]
    assert house.models.held is not None
    house.models.held.set()
    await asyncio.gather(first, second, other)
    assert [each["content"] for each in house.models.errands[-1].messages[1:]] == ["question 1", "one", "question 2"]


async def test_a_message_that_comes_again_is_the_same_message() -> None:
    house = House()
    first = await house.handler.handle_message(message())
    again = await house.handler.handle_message(message())
    assert again.text == first.text
    assert again.duplicate
    assert len(house.models.errands) == 1
    assert house.inbox.written == ["hi there"]


async def test_one_that_comes_again_meanwhile_waits_for_the_same_answer() -> None:
    house = House(models=Models(held=asyncio.Event()))
    waiting = [asyncio.create_task(house.handler.handle_message(message())) for _ in range(5)]
    await until(lambda: bool(house.models.errands))
    assert house.models.held is not None
    house.models.held.set()
    replies = await asyncio.gather(*waiting)
    assert {reply.text for reply in replies} == {"hi there"}
    assert sum(not reply.duplicate for reply in replies) == 1
    assert house.inbox.written == ["hi there"]


async def test_two_processes_answer_it_once() -> None:
    one = House(models=Models(held=asyncio.Event()))
    other = House(one.inbox, one.models)
    both = asyncio.gather(*(house.handler.handle_message(message(channel=Channel.SLACK)) for house in (one, other)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert one.models.held is not None
    one.models.held.set()
    replies = await both
    assert [reply.text for reply in replies] == ["hi there"] * 2
    assert one.inbox.written == ["hi there"]
    assert len(one.models.errands) == 1
    assert [*one.brought, *other.brought] == [("m1", "hi there")]


async def test_it_is_watched_as_it_grows() -> None:
    """Who comes later gets all there is, and then the rest."""
    house = House(models=Models(held=asyncio.Event()))
    seen: list[list[Grown]] = [[], []]
    first = asyncio.create_task(house.handler.handle_message(message(), watch=seen[0].append))
    await until(lambda: bool(seen[0]))
    second = asyncio.create_task(house.handler.handle_message(message(), watch=seen[1].append))
    await until(lambda: bool(seen[1]))
    assert house.models.held is not None
    house.models.held.set()
    await asyncio.gather(first, second)
    assert seen[0] == seen[1] == [Grown(0, "hi t"), Grown(4, "here")]


async def test_who_stops_waiting_leaves_the_answer_to_come() -> None:
    house = House(models=Models(held=asyncio.Event()))
    waiting = asyncio.create_task(house.handler.handle_message(message()))
    await until(lambda: bool(house.models.errands))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert house.models.held is not None
    house.models.held.set()
    await house.settle()
    assert house.inbox.written == ["hi there"]


@pytest.mark.parametrize(
    "end",
    [Done(error_code="all_backends_down"), Done(error_code="cancelled"), Done(text="  \n"), Done()],
)
async def test_every_model_failing_gives_a_polite_reply(end: Done) -> None:
    house = House(models=Models(script=(end,)))
    reply = await house.handler.handle_message(message())
    assert (reply.text, reply.fallback) == (FALLBACK, True)
    again = await house.handler.handle_message(message())
    assert (again.text, again.fallback) == (FALLBACK, True)


@pytest.mark.parametrize(
    "refusal", [BudgetExceeded("empty"), NotServable("nobody"), Forbidden("no"), NotFound("no model")]
)
async def test_so_does_a_job_that_is_refused(refusal: JuntoError) -> None:
    house = House(models=Models(refusals=[refusal]))
    reply = await house.handler.handle_message(message())
    assert (reply.text, reply.fallback) == (FALLBACK, True)
    assert not house.pauses


async def test_a_limit_is_waited_for_a_little() -> None:
    house = House(models=Models(refusals=[RateLimited("slow", retry_after=2.0), Overloaded("full", retry_after=60.0)]))
    assert (await house.handler.handle_message(message())).text == "hi there"
    assert house.pauses == [2.0, 5.0]


async def test_a_bug_on_the_way_gives_a_polite_reply() -> None:
    house = House()

    async def broken(errand: Errand) -> str:
        raise ZeroDivisionError

    house.models.submit = broken  # type: ignore[method-assign]
    assert (await house.handler.handle_message(message())).fallback


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        (message(agent="front-dask"), 404, "front-desk"),
        (msgspec.structs.replace(message(), tenant_id="other"), 404, "There is no agent"),
        (message("x" * 32_001), 413, "32000"),
        (message(" "), 422, ""),
        (message(id=""), 422, ""),
    ],
)
async def test_what_cannot_be_accepted_is_a_value(said: ChannelMessage, status: int, words: str) -> None:
    house = House()
    reply = await house.handler.handle_message(said)
    assert reply.refusal is not None
    assert (reply.refusal.status, reply.text, reply.is_pending) == (status, "", False)
    assert words in reply.refusal.message
    assert not house.inbox.rows


async def test_a_database_that_is_away_accepts_nothing() -> None:
    house = House()
    house.inbox.away = 1
    reply = await house.handler.handle_message(message())
    assert reply.refusal is not None
    assert reply.refusal.status == 503


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_one_that_goes_away_after_that_leaves_it_to_be_answered(at: int) -> None:
    """Before the history, the binding of the job, or the answer: the reply is pending, and a sweep finishes it with the same job."""
    house = House(models=Models(held=asyncio.Event()))
    waiting = asyncio.create_task(house.handler.handle_message(message()))
    await until(lambda: bool(house.inbox.rows))
    if at == 3:
        await until(lambda: bool(house.inbox.rows["msg_0"].entry.job_id))
    house.inbox.away = 1
    assert house.models.held is not None
    house.models.held.set()
    reply = await waiting
    assert reply.is_pending
    await house.recovery.sweep()
    await house.settle()
    assert house.inbox.written == ["hi there"]
    assert len(house.models.errands) == 1


async def test_a_process_that_dies_leaves_its_messages_to_the_next() -> None:
    """Accepted, bound to a job, or with a job at its end: the job's answer is used, and no other one is made."""
    house = House(models=Models(held=asyncio.Event()))
    for id in ("m1", "m2"):
        await house.handler.accept(message(id=id, thread=id, channel=Channel.SLACK))
    await until(lambda: not len(house.models.errands) < 2)
    await house.handler.stop()
    assert not house.inbox.written
    assert house.models.held is not None
    house.models.held.set()
    following = House(house.inbox, house.models)
    await following.recovery.sweep()
    await following.settle()
    assert house.inbox.written == ["hi there"] * 2
    assert sorted(following.brought) == [("m1", "hi there"), ("m2", "hi there")]
    assert not house.brought
    assert len(house.models.errands) == 2


async def test_a_process_that_stops_tells_who_waits_that_it_comes_later() -> None:
    house = House(models=Models(held=asyncio.Event()))
    waiting = asyncio.create_task(house.handler.handle_message(message()))
    await until(lambda: bool(house.models.errands))
    await house.handler.stop()
    reply = await waiting
    assert reply.is_pending
    assert reply.inbox_id == "msg_0"
    refused = await house.handler.handle_message(message(id="m2"))
    assert refused.refusal is not None
    assert refused.refusal.status == 503


async def test_a_job_that_is_gone_gives_a_polite_reply() -> None:
    house = House()
    accepted = await house.inbox.accept(message())
    await house.inbox.bind_job("default", accepted.inbox_id, "job_lost")
    await house.recovery.sweep()
    await house.settle()
    assert house.inbox.written == [FALLBACK]


async def test_a_reply_is_brought_until_the_channel_takes_it() -> None:
    house = House()
    house.takes = False
    await house.handler.accept(message(channel=Channel.SLACK))
    await house.settle()
    await house.recovery.sweep()
    await house.settle()
    assert house.brought == [("m1", "hi there")] * 2
    house.takes = True
    for _ in range(2):
        await house.recovery.sweep()
        await house.settle()
    assert len(house.brought) == 3
    assert house.inbox.rows["msg_0"].delivered


async def test_what_people_come_for_counts_as_delivered() -> None:
    house = House()
    await house.handler.handle_message(message(channel=Channel.API, thread="-/t", id="-/m"))
    assert house.inbox.rows["msg_0"].delivered
    assert not house.brought


async def test_a_process_without_the_channel_leaves_its_messages_alone() -> None:
    house = House()
    await house.inbox.accept(message(channel=Channel.SLACK))
    answerer: Any = None
    worker = Handler(house.inbox, house.shelf, answerer, deliver={})
    await Recovery(house.inbox, worker, is_alone=True).sweep()
    assert worker.busy == 0


async def test_a_disabled_agent_answers_when_it_is_enabled_again() -> None:
    house = House()
    await house.inbox.accept(message())
    agents, house.shelf.agents = house.shelf.agents, {}
    await house.recovery.sweep()
    assert not house.inbox.written
    house.shelf.agents = agents
    await house.recovery.sweep()
    await house.settle()
    assert house.inbox.written == ["hi there"]


async def test_a_conversation_that_was_deleted_is_no_error_to_anybody() -> None:
    house = House(models=Models(held=asyncio.Event()))
    house.inbox.gone.add("cnv_web_t1")
    reply = await house.handler.handle_message(message())
    assert reply.refusal is not None
    assert reply.refusal.status == 404
    assert not house.models.errands


async def test_a_sweep_that_finds_no_database_is_done_again() -> None:
    house = House()
    house.inbox.away = 1
    with pytest.raises(Overloaded):
        await house.recovery.sweep()
    await house.recovery.sweep()


async def _long(house: House, count: int) -> None:
    for number in range(count):
        await house.handler.handle_message(message(f"fact {number} " + "f" * 1500, id=f"m{number}"))


async def test_a_long_conversation_is_summarised_by_a_job_of_its_own() -> None:
    house = House(models=Models(script=("noted",)), context=2048)
    await _long(house, 8)
    summaries = [errand for errand in house.models.errands if errand.key.startswith("summary/")]
    assert summaries
    assert all(errand.max_tokens for errand in summaries)
    assert {errand.payer.client_id for errand in house.models.errands} == {"agents:default"}
    text, upto = house.inbox.summaries["cnv_web_t1"]
    assert text == "noted"
    assert 0 < upto < 15
    assert "Summary of what was said before" in str(house.models.errands[-1].messages)
    assert len(house.inbox.written) == 8


async def test_a_summary_that_fails_only_means_that_old_turns_are_left_out() -> None:
    house = House(context=2048)
    submit = house.models.submit

    async def no_summaries(errand: Errand) -> str:
        if errand.key.startswith("summary/"):
            raise BudgetExceeded("empty")
        return await submit(errand)

    house.models.submit = no_summaries  # type: ignore[method-assign]
    await _long(house, 8)
    assert not house.inbox.summaries
    assert house.inbox.written == ["hi there"] * 8
    assert "fact 7" in str(house.models.errands[-1].messages)
    assert "fact 0" not in str(house.models.errands[-1].messages)


def test_names_of_clients_threads_are_their_own() -> None:
    assert owner_of(owned("cli_1", "a/b")) == "cli_1"
    assert owner_of(owned("", "cli_1/t")) == ""
    assert owned("", "t") != owned("cli_1", "t")


async def test_a_client_that_is_gone_gets_a_polite_reply() -> None:
    house = House()
    reply = await house.handler.handle_message(message(channel=Channel.API, thread="cli_9/t", id="cli_9/m"))
    assert reply.fallback


@pytest.mark.parametrize(
    ("allowed", "permitted", "wider"),
    [(None, True, False), ({"agent/front-desk"}, True, True), ({"m"}, True, False), ({"x"}, False, False)],
)
def test_a_list_of_models_has_the_agent_or_what_is_behind_it(
    allowed: set[str] | None, *, permitted: bool, wider: bool
) -> None:
    payer = Principal(allowed_models=None if allowed is None else frozenset(allowed))
    check = partial(check_allowed, payer, AGENT)
    if permitted:
        check()
    else:
        with pytest.raises(Forbidden):
            check()
    assert opens(payer, AGENT) is wider


async def test_who_has_no_client_is_a_guest_while_it_waits_and_afterwards() -> None:
    """So that a job is found again by whoever takes its message up; a client pays itself."""
    house = House()
    said = message(channel=Channel.API, thread="-/t", id="-/m")
    await house.handler.handle_message(said, caller=Principal(client="anonymous"))
    client = Principal(client="app", client_id="cli_1")
    own = msgspec.structs.replace(said, thread="cli_1/t", message_id="cli_1/m")
    await house.handler.handle_message(own, caller=client)
    assert [errand.payer.client_id for errand in house.models.errands] == ["agents:default", "cli_1"]
