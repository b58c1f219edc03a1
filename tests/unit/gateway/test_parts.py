"""What the parts of a composed exchange come to, however they and it end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from junto.core.chat import ChatRequest, Message, Role, Text
from junto.core.errors import AllBackendsDown
from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.sensitivity import Sensitivity
from junto.gateway.credit import Credit, Hold
from junto.gateway.parts import ExchangeParts
from junto.identity.principal import Budget, Principal
from junto.ports.parts import Ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.gateway.answer import Answer
    from junto.gateway.exchange import Arrival

pytestmark = pytest.mark.anyio

ASK = Ask(request=ChatRequest(model="m", messages=(Message(Role.USER, (Text("x" * 4_000),)),)))
RECORD = ExchangeRecord(
    id="p.1", started_ms=0, tenant="t", client="c", wire="openai.chat", operation="chat", requested_model="m",
    sensitivity="internal", task_type="", stream=True, outcome=Outcome.ERROR, status=502, duration_ms=1, attempts=(),
    input_tokens=7, cost_nano=70, keep="metadata",
)  # fmt: skip


class Whole:
    """An exchange with a budget, of which its parts have put something aside."""

    def __init__(self, open: Callable[[Arrival], Awaitable[Answer]]) -> None:
        self.credit = Credit("r1")
        arrival = SimpleNamespace(funds=None, job_id="", priority=5, purpose="", timeout=None)
        principal = Principal(
            tenant="t",
            client="c",
            budgets=(Budget(id="b", scope="client", period="daily", limit_nano=10_000),),
            scopes=frozenset(),
        )
        exchange = SimpleNamespace(
            id="p", arrival=arrival, principal=principal, persona=None, permit=None, sensitivity=Sensitivity.INTERNAL
        )
        self.parts = ExchangeParts(
            cast("Any", exchange),
            current=cast("Any", None),
            admission=cast("Any", self),
            clock=cast("Any", None),
            open=open,
        )

    async def hold(self, budgets: tuple[Budget, ...], nano: int) -> Hold:
        self.credit.held += nano
        return Hold(cast("Any", None), budgets, (self.credit,), nano)


async def test_a_part_that_is_refused_before_its_money_is_taken_over_gives_it_back() -> None:
    """No record has room for it, or no deployment is there any more: nothing stays held for it."""

    async def refuse(_: Arrival) -> Answer:
        raise AllBackendsDown("away")

    whole = Whole(refuse)
    await whole.parts.reserve(nano=1_000, tokens=10)
    with pytest.raises(AllBackendsDown):
        await whole.parts.open(ASK, nano=400, within=None)
    whole.parts.settle()
    assert (whole.credit.held, whole.credit.free) == (0, 1_000)


async def test_what_a_part_without_an_answer_has_used_counts() -> None:
    """Its tokens and its cost are the whole's: a job is charged by them alone."""

    async def fail(arrival: Arrival) -> Answer:
        assert arrival.on_refused is not None
        arrival.on_refused(RECORD)
        raise AllBackendsDown("away")

    whole = Whole(fail)
    with pytest.raises(AllBackendsDown):
        await whole.parts.open(ASK, nano=0, within=None)
    assert (whole.parts.usage.total, whole.parts.nano) == (7, 70)


async def test_prompts_on_their_way_count_when_the_whole_is_over() -> None:
    """Who hangs up before anybody has begun to answer has asked all the same."""

    async def hang(_: Arrival) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    whole = Whole(hang)
    asking = asyncio.create_task(whole.parts.open(ASK, nano=0, within=None))
    await asyncio.sleep(0)
    whole.parts.settle()
    assert whole.parts.usage.input >= 1_000
    assert whole.parts.usage.estimated
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_parts_under_way_end_when_the_whole_is_over_and_what_they_used_counts() -> None:
    class Begun:
        answered_by = ("one", "m")
        record: ExchangeRecord | None = None

        def close(self) -> None:
            self.record = RECORD

    async def begin(_: Arrival) -> Answer:
        return cast("Answer", Begun())

    whole = Whole(begin)
    part = await whole.parts.open(ASK, nano=0, within=None)
    whole.parts.settle()
    assert (whole.parts.usage.total, whole.parts.nano, part.nano) == (7, 70, 70)
    part.close()
    assert whole.parts.nano == 70
