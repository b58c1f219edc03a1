"""Daily figures are what a full recount of the stored exchanges comes to, whatever was replayed and wherever it broke off."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import select

from junto.core.errors import Overloaded
from junto.core.exchange import Attempted, ExchangeRecord, Outcome
from junto.core.periods import day_of
from junto.evals.latency import bucket_of
from junto.ports.figures import FigureQuery
from junto.ports.subjects import Kind
from junto.storage.repositories.figures import StoredFigures, purge_figures
from junto.storage.repositories.ledger import LedgerWriter
from junto.storage.repositories.rollups import Rollups
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import EVAL_DAYS, EVAL_LATENCIES
from junto.storage.tables.exchanges import EXCHANGES
from junto.storage.writer import ExchangeWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.storage.sessions import Session, Sessions

pytestmark = pytest.mark.anyio

NOW = 1_795_219_200_000  # 2026-11-21T00:00:00Z
DAY = 24 * 60 * 60 * 1000
MODELS = ("llama3.2:3b", "qwen3:8b", "gpt-5-mini", "council/debate")
FAILURES = ("", "", "server", "cancelled", "queue_full", "idle_timeout", "rejected")
SUMS = ("attempts", "failures", "answers", "latency_ms", "tokens_in", "tokens_out", "cost_nano")


def any_record(number: int, dice: random.Random) -> ExchangeRecord:
    """An exchange as it may come: fallbacks, councils and their members, shadows, judges, errors, tiers that keep nothing."""
    attempts = tuple(
        Attempted(backend="desk", model=dice.choice(MODELS), failure=dice.choice(FAILURES))
        for _ in range(dice.randrange(4))
    )
    parent = dice.choice(("", "", "", f"req_{number // 2:05}"))
    return ExchangeRecord(
        id=f"{parent}.{number}" if parent and dice.random() < 0.5 else f"req_{number:05}",
        started_ms=NOW + dice.randrange(3 * DAY),
        tenant=dice.choice(("default", "acme")),
        job_id=dice.choice(("", f"job_{number}")),
        wire="openai.chat",
        operation="chat",
        requested_model="fast",
        model=dice.choice((*MODELS, "")),
        sensitivity="internal",
        task_type=dice.choice(("mail", "code", "", "with\0zero")),
        purpose=dice.choice(("", "", "", "shadow", "judge")),
        outcome=dice.choice((Outcome.OK, Outcome.OK, Outcome.ERROR, Outcome.CANCELLED)),
        input_tokens=dice.randrange(1000),
        cache_read_tokens=dice.randrange(1000),
        cache_write_tokens=dice.randrange(10),
        output_tokens=dice.randrange(1000),
        cost_nano=dice.randrange(10**9),
        parts_nano=dice.choice((0, dice.randrange(10**9))),
        duration_ms=dice.choice((0, dice.randrange(100), dice.randrange(100_000))),
        attempts=attempts,
        parent_id=parent,
        keep=dice.choice(("metadata", "metadata", "none")),
    )


def writer_of(sessions: Sessions, *along: Any) -> ExchangeWriter:
    return ExchangeWriter(sessions, along=[LedgerWriter().post, *along], of_new=[Rollups().count])


async def recounted(sessions: Sessions) -> dict[tuple[Any, ...], list[int]]:
    """The figures anew, from each stored exchange; the buckets after them. Written down once more, and in other words."""
    async with sessions.read(OPERATOR) as session:
        rows = (await session.execute(select(EXCHANGES))).mappings().all()
    figures: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(SUMS))
    buckets: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0])
    for row in rows:
        is_member = row["parent_id"] != "" and (row["purpose"] == "" or row["id"].startswith(row["parent_id"] + "."))
        if row["purpose"] == "judge" or is_member:
            continue
        kind = "shadow" if row["purpose"] == "shadow" else "production"
        place = (row["task_type"].replace("\0", "\ufffd"), day_of(row["started_ms"]), row["tenant"], kind)
        for attempt in msgspec.json.decode(row["attempts"]):
            if attempt.get("failure", "") not in {"cancelled", "queue_full"}:
                figures[*place, attempt["model"]][0] += 1
                figures[*place, attempt["model"]][1] += int("failure" in attempt)
        if row["model"] == "":
            continue
        total = figures[*place, row["model"]]
        total[6] += row["cost_nano"] + row["parts_nano"]
        if row["outcome"] == "ok":
            total[2] += 1
            total[3] += row["duration_ms"]
            total[4] += row["input_tokens"] + row["cache_read_tokens"] + row["cache_write_tokens"]
            total[5] += row["output_tokens"]
            buckets[*place, row["model"], bucket_of(row["duration_ms"])][0] += 1
    return {**figures, **buckets}


async def kept(sessions: Sessions) -> dict[tuple[Any, ...], list[int]]:
    """The figures as they are in the database."""
    async with sessions.read(OPERATOR) as session:
        days = (await session.execute(select(EVAL_DAYS))).mappings().all()
        buckets = (await session.execute(select(EVAL_LATENCIES))).mappings().all()
    key = ("task_type", "day", "tenant_id", "kind", "model")
    found = {tuple(row[name] for name in key): [row[name] for name in SUMS] for row in days}
    return {**found, **{(*(row[name] for name in key), row["bucket"]): [row["answers"]] for row in buckets}}


def batches(records: Sequence[ExchangeRecord], dice: random.Random) -> list[list[ExchangeRecord]]:
    """The records in batches, of which some come again, in whole or mixed with new ones, or twice in one."""
    left, found = list(records), []
    while left:
        size = dice.randrange(1, 40)
        batch, left = left[:size], left[size:]
        found.append(batch)
        again = dice.random()
        if again < 0.2:
            found.append(batch)
        elif again < 0.4:
            left = [*dice.sample(batch, len(batch) // 2), *left]
        elif again < 0.5:
            found[-1] = [*batch, *batch[:3]]
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_figures_are_a_full_recount_whatever_is_replayed(sessions: Sessions, seed: int) -> None:
    dice = random.Random(seed)
    writer = writer_of(sessions)
    for batch in batches([any_record(number, dice) for number in range(300)], dice):
        await writer.store(batch)
    assert await kept(sessions) == await recounted(sessions)


async def test_a_batch_that_breaks_off_anywhere_counts_nothing_and_counts_once_when_it_comes_again(
    sessions: Sessions,
) -> None:
    """The transaction dies before, or after, what is written along, or the acknowledgement of its commit is lost."""
    dice = random.Random(7)
    dies = True

    async def dying(_: Session, __: Sequence[ExchangeRecord]) -> None:
        if dies:
            raise RuntimeError("the process is gone")

    breaking = ExchangeWriter(sessions, along=[LedgerWriter().post], of_new=[Rollups().count, dying])
    early = ExchangeWriter(sessions, along=[dying], of_new=[Rollups().count])
    records = [any_record(number, dice) for number in range(60)]
    for writer in (breaking, early):
        with pytest.raises(RuntimeError, match="gone"):
            await writer.store(records)
        assert await kept(sessions) == {}
    dies = False
    await breaking.store(records)
    await writer_of(sessions).store(records)  # it was committed, and nobody was told
    assert await kept(sessions) == await recounted(sessions)


async def test_two_writers_that_count_the_same_models_lose_nothing_and_never_block_each_other(
    sessions: Sessions,
) -> None:
    dice = random.Random(11)
    records = [any_record(number, dice) for number in range(400)]

    async def write(own: Sequence[ExchangeRecord]) -> None:
        writer = writer_of(sessions)
        for start in range(0, len(own), 20):
            await writer.store(own[start : start + 20])

    await asyncio.gather(*(write(records[number::4]) for number in range(4)))
    assert await kept(sessions) == await recounted(sessions)


async def test_figures_are_summed_up_by_model_and_kind_of_the_days_and_the_task_that_are_asked_for(
    sessions: Sessions,
) -> None:
    plain = any_record(1, random.Random(1))
    answer = {"model": "good", "parent_id": "", "purpose": "", "outcome": Outcome.OK, "keep": "metadata"}
    attempts = (Attempted(backend="desk", model="good"),)

    def one(id: str, **changes: Any) -> ExchangeRecord:
        fields = {
            **answer,
            "attempts": attempts,
            "task_type": "mail",
            "tenant": "default",
            "duration_ms": 100,
            "started_ms": NOW,
        }
        return msgspec.structs.replace(plain, id=id, **{**fields, **changes})

    await writer_of(sessions).store([
        one("a"),
        one("b", tenant="acme", duration_ms=300),
        one("c", started_ms=NOW - DAY),
        one("d", task_type="code"),
        one("e", purpose="shadow", parent_id="a"),
    ])  # fmt: skip
    store = StoredFigures(sessions)
    mail = await store.figures(FigureQuery(since_day="2026-11-21", task_type="mail"))
    assert [(each.kind, each.answers) for each in mail] == [(Kind.PRODUCTION, 2), (Kind.SHADOW, 1)]
    assert mail[0].latencies == {bucket_of(100): 1, bucket_of(300): 1}
    assert mail[0].latency_ms == 400
    asked = {
        "all": FigureQuery(since_day="2026-11-20", kind=Kind.PRODUCTION),
        "until": FigureQuery(since_day="2026-11-20", until_day="2026-11-20"),
        "acme": FigureQuery(since_day="2026-11-20", tenant_id="acme"),
        "none": FigureQuery(since_day="2026-11-22"),
    }
    answers = {name: [each.answers for each in await store.figures(query)] for name, query in asked.items()}
    assert answers == {"all": [4], "until": [1], "acme": [1], "none": []}
    assert all(not each.latencies for each in await store.figures(asked["all"], latencies=False))


async def test_a_batch_that_an_earlier_transaction_overtook_is_tried_again_as_a_whole(sessions: Sessions) -> None:
    """What was looked for and not found is there by the time it is stored: nothing of the batch is written then."""
    dice = random.Random(3)
    first, second = (msgspec.structs.replace(any_record(number, dice), keep="metadata") for number in (1, 2))
    writer = writer_of(sessions)
    await writer.store([first])
    bulk = writer._exchanges
    run = bulk.run

    async def overtaken(connection: Any, rows: list[Any]) -> int:
        return await run(connection, rows) - 1

    bulk.run = overtaken  # type: ignore[method-assign]
    with pytest.raises(Overloaded):
        await writer.store([first, second])
    bulk.run = run  # type: ignore[method-assign]
    await writer.store([first, second])
    assert await kept(sessions) == await recounted(sessions)


async def test_figures_that_nobody_can_ask_for_any_more_are_deleted(sessions: Sessions) -> None:
    dice = random.Random(5)
    old = [msgspec.structs.replace(any_record(number, dice), started_ms=1_000_000_000_000) for number in range(40)]
    await writer_of(sessions).store(old)
    assert await kept(sessions)
    while await purge_figures(sessions, limit=7):
        pass
    assert not await kept(sessions)
