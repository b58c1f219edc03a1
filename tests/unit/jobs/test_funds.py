"""A job whose answer has no maximum reserves as it grows, and ends with `length` where its budget does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from junto.core.events import Event, Finish, FinishReason, Start, TextDelta
from junto.core.usage import Usage
from junto.jobs.funds import JobFunds
from junto.jobs.request import decode_request
from junto.ports.jobs import Status
from junto.providers.fake import Fake, Step
from tests.unit.gateway.one_backend import MODEL, OneBackend, StillClock
from tests.unit.jobs.claims import a_claim
from tests.unit.jobs.test_executor import Bench, Store

if TYPE_CHECKING:
    from junto.ports.jobs import Claim

pytestmark = pytest.mark.anyio

CHUNK = 10_000_000  # nano-dollars: a thousand tokens at this price
PRICE = "- {backend: desk, model: '*', from: 2025-01-01, input: 0, output: 10}"
LONG: tuple[Event, ...] = (
    Start("fake"),
    *(TextDelta("four" * 100) for _ in range(60)),  # six thousand tokens
    Finish(FinishReason.STOP, Usage(output=6_000)),
)


def paid(held_nano: int = CHUNK, **options: int) -> Claim:
    """A claim of a job that so much was reserved for."""
    claim = a_claim()
    request = msgspec.structs.replace(decode_request(claim.job.request), held_nano=held_nano, options=options)
    return msgspec.structs.replace(claim, job=msgspec.structs.replace(claim.job, request=request.encode()))


def bench_with(room: int, *, pause: float = 0.0) -> Bench:
    bench = Bench()
    bench.answered_by(OneBackend(Fake("desk", models=(MODEL,), script=[Step(events=LONG, pause=pause)]), pricing=PRICE))
    bench.store.room = room
    return bench


async def test_an_answer_that_is_longer_than_the_budget_ends_with_length_within_one_chunk() -> None:
    bench = bench_with(3 * CHUNK)
    await bench.run(paid())
    ending = bench.store.ending
    assert (ending.status, ending.finish_reason) == (Status.COMPLETE, "length")
    assert 2 * CHUNK <= ending.cost_nano <= 3 * CHUNK
    assert len(json.loads(ending.answer)["response"]) >= 2_000 * 4


async def test_an_answer_that_the_budget_covers_comes_whole() -> None:
    bench = bench_with(100 * CHUNK)
    await bench.run(paid())
    assert (bench.store.ending.finish_reason, bench.store.ending.usage.output) == ("stop", 6_000)
    assert bench.store.held == 7 * CHUNK


async def test_what_its_own_deadline_cuts_short_is_charged_as_what_is_cancelled() -> None:
    """Else whoever follows the text as it grows, and sets the deadline just before its end, would have it for nothing."""
    bench = bench_with(100 * CHUNK, pause=0.01)
    await bench.run(msgspec.structs.replace(paid(), remaining_ms=100))
    ending = bench.store.ending
    assert (ending.status, ending.error_code) == (Status.FAILED, "deadline_passed")
    assert ending.cost_nano == ending.usage.output * CHUNK // 1_000 > 0


async def test_what_no_budget_pays_for_asks_nobody() -> None:
    bench = bench_with(0)
    await bench.run(paid(held_nano=0))
    assert bench.store.ending.finish_reason == "stop"
    assert bench.store.held == 0


async def test_a_job_with_a_maximum_has_all_of_it_reserved_from_the_beginning() -> None:
    bench = bench_with(0)
    await bench.run(paid(max_tokens=9_000))
    assert bench.store.ending.finish_reason == "stop"
    assert bench.store.held == 0


async def test_a_database_that_is_away_for_a_moment_cuts_nothing_short() -> None:
    store, clock = Store(), StillClock()
    store.room, store.away = 5 * CHUNK, 3
    assert await JobFunds(paid(), store, clock, again=0.001).extend(CHUNK)
    assert store.held == 2 * CHUNK


async def test_a_database_that_stays_away_does() -> None:
    store, clock = Store(), StillClock()
    store.room, store.away = 5 * CHUNK, 1_000_000
    asking = asyncio.create_task(JobFunds(paid(), store, clock, again=0.001).extend(CHUNK))
    await asyncio.sleep(0.01)
    clock.now += 60
    assert not await asking
