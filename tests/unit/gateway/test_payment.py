"""What a request may cost is held before it is sent, what it did cost is charged, and nothing is held when it is over."""

from __future__ import annotations

import json

import pytest

from junto.coordination.limiter_memory import MemoryBuckets
from junto.core.errors import BudgetExceeded, FailureKind, RateLimited, UpstreamFailure
from junto.core.events import Event, Finish, FinishReason, Start, TextDelta
from junto.core.limits import LimitedBy, Limits
from junto.core.usage import Usage
from junto.gateway.limits import Limiter
from junto.gateway.purse import Purse
from junto.identity.principal import Principal
from junto.providers.fake import Fake, Step, saying

from .bank import Bank, HandClock, bank_of, budget
from .one_backend import OneBackend

pytestmark = pytest.mark.anyio

CENTS = 10_000_000  # nano-dollars
PRICE = "- {backend: desk, model: '*', from: 2025-01-01, input: 0, output: 10}"  # a cent for a thousand tokens
LONG: tuple[Event, ...] = (
    Start("fake"),
    *(TextDelta("four" * 100) for _ in range(60)),
    Finish(FinishReason.STOP, Usage(output=6_000)),
)


def paying(limit: int, *steps: Step) -> tuple[OneBackend, Bank]:
    """A caller with a daily budget, at a backend that answers so."""
    one = budget("b", limit)
    bank = bank_of(one)
    purse = Purse(bank, HandClock(), holder="node:1")
    principal = Principal(client="app", client_id="c1", budgets=(one,))
    return OneBackend(Fake("desk", script=steps), pricing=PRICE, principal=principal, purse=purse), bank


def settle(gateway: OneBackend, bank: Bank) -> None:
    """What the flusher does: the ledger's entries of all that was recorded."""
    for record in gateway.shelf.records:
        bank.post(record.cost_nano, record.paid, *gateway.principal.budgets)


async def test_an_answer_is_charged_what_it_cost_and_the_rest_is_free_again() -> None:
    gateway, bank = paying(100 * CENTS, Step(events=saying("hello", usage=Usage(input=1, output=500))))
    await gateway.ask(max_tokens=2_000)
    (record,) = gateway.shelf.records
    assert record.cost_nano == CENTS // 2
    assert sum(nano for _, nano in record.paid) == CENTS // 2
    settle(gateway, bank)
    assert bank.vaults["b"].spent == CENTS // 2


async def test_a_request_that_could_cost_more_than_is_left_is_refused_before_anything_is_sent() -> None:
    fake = Step(events=saying("hello"))
    gateway, bank = paying(CENTS, fake)
    with pytest.raises(BudgetExceeded):
        await gateway.ask(max_tokens=2_000)
    (record,) = gateway.shelf.records
    assert (record.status, record.backend, record.cost_nano) == (402, "", 0)
    assert bank.vaults["b"].reserved == 0


async def test_a_free_model_needs_no_money() -> None:
    one = budget("b", 0)
    purse = Purse(bank_of(one), HandClock(), holder="node:1")
    gateway = OneBackend(Fake("desk"), principal=Principal(budgets=(one,)), purse=purse)
    assert b"Hello" in await gateway.ask()


async def test_a_request_that_failed_costs_nothing_and_holds_nothing() -> None:
    gateway, bank = paying(2 * CENTS, Step(failure=UpstreamFailure(FailureKind.REJECTED)), Step(events=saying("hello")))
    with pytest.raises(Exception, match="refused"):
        await gateway.ask(max_tokens=2_000)
    assert b"hello" in await gateway.ask(max_tokens=2_000)
    assert [record.status for record in gateway.shelf.records] == [400, 200]
    settle(gateway, bank)
    assert bank.vaults["b"].spent == gateway.shelf.records[1].cost_nano


async def test_a_caller_who_leaves_pays_for_what_was_streamed_and_frees_the_rest() -> None:
    gateway, _ = paying(100 * CENTS, Step(events=LONG))
    answer = await gateway.pipeline.open(gateway.arrival(stream=True, max_tokens=9_000))
    await answer.read()
    await answer.read()
    answer.close()
    (record,) = gateway.shelf.records
    assert 0 < record.cost_nano <= 3 * CENTS
    assert sum(nano for _, nano in record.paid) == record.cost_nano


async def test_a_stream_without_a_maximum_holds_more_as_it_grows() -> None:
    gateway, bank = paying(100 * CENTS, Step(events=LONG))
    answer = await gateway.ask(stream=True)
    assert answer.count(b"four" * 100) == 60
    (record,) = gateway.shelf.records
    assert (record.finish_reason, record.cost_nano) == ("stop", 6 * CENTS)
    settle(gateway, bank)
    assert bank.vaults["b"].spent == 6 * CENTS


async def test_a_stream_that_no_budget_has_room_for_any_more_ends_as_if_its_maximum_were_reached() -> None:
    gateway, _ = paying(3 * CENTS, Step(events=LONG))
    answer = await gateway.ask(stream=True)
    chunks = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith(b"data: {")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert answer.endswith(b"data: [DONE]\n\n")
    (record,) = gateway.shelf.records
    assert (record.outcome, record.finish_reason) == ("ok", "length")
    assert 2 * CENTS < record.cost_nano <= 4 * CENTS  # by one chunk at most beyond the limit
    assert gateway.busy == 0


async def test_a_client_over_its_limit_is_refused_and_one_that_is_done_makes_room() -> None:
    by = LimitedBy(client_id="c1", client=Limits(max_concurrency=1), tenant_id="default")
    clock = HandClock()
    limiter = Limiter(MemoryBuckets(clock), clock=clock, node_id="n1")
    await limiter.start()
    gateway = OneBackend(Fake("desk"), principal=Principal(client_id="c1", limited_by=by), limiter=limiter)
    first = await gateway.pipeline.open(gateway.arrival(stream=True))
    with pytest.raises(RateLimited):
        await gateway.ask()
    first.close()
    assert b"Hello" in await gateway.ask()
    assert [record.status for record in gateway.shelf.records] == [429, 200, 200]
    await limiter.close()


async def test_what_a_limit_leaves_is_told_in_the_answers_headers() -> None:
    by = LimitedBy(client_id="c1", client=Limits(requests_per_minute=60), tenant_id="default")
    clock = HandClock()
    limiter = Limiter(MemoryBuckets(clock), clock=clock, node_id="n1")
    await limiter.start()
    gateway = OneBackend(Fake("desk"), principal=Principal(client_id="c1", limited_by=by), limiter=limiter)
    answer = await gateway.pipeline.open(gateway.arrival())
    headers = dict(answer.headers())
    assert headers[b"x-ratelimit-limit-requests"] == b"60"
    assert int(headers[b"x-ratelimit-remaining-requests"]) < 60
    answer.close()
    await limiter.close()
