"""`python -m bench.compare_figures`: a comparison of models over a million exchanges, and what counting them costs.

The exchanges go through the writer that Junto stores them with, so the figures are counted as in life. What is asked is what
`GET /eval/compare` asks. Prints figures and judges none; nothing that it makes stays.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select
from tests.conformance.databases import make_template, running_postgres

from junto.core.exchange import Attempted, ExchangeRecord, Outcome
from junto.core.ids import request_id
from junto.core.periods import DAY_MS
from junto.evals.compare import Compared, Comparison
from junto.storage.engine import Database
from junto.storage.repositories.figures import StoredFigures
from junto.storage.repositories.ledger import LedgerWriter
from junto.storage.repositories.rollups import Rollups
from junto.storage.repositories.scores import StoredScores
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables.evals import EVAL_DAYS, EVAL_LATENCIES, SCORES, VERDICTS
from junto.storage.writer import ExchangeWriter

BATCH = 500
TASKS = ("email_classification", "summary", "code_review", "translation", "extraction", "")
MODELS = ("llama3.2:3b", "qwen3:8b", "gpt-5-mini", "claude-haiku-4-5", "council/debate")
TENANTS = ("default", "acme", "globex")
PROMPT = b'{"model":"fast","messages":[{"role":"user","content":"%b"}]}' % (b"What is in this letter? " * 12)
ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"%b"},"finish_reason":"stop"}]}' % (
    b"An invoice. " * 12
)


class Clock:
    """The time of the machine."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic()


def records(count: int, days: int, dice: random.Random, *, keep: str) -> Iterator[list[ExchangeRecord]]:
    """So many exchanges in batches, in the order of time, over so many days up to now; one in ten is a shadow."""
    now = Clock().wall_ms()
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        yield [_record(now - (days - 1) * DAY_MS * (count - number) // count, dice, keep) for number in numbers]


def _record(at_ms: int, dice: random.Random, keep: str) -> ExchangeRecord:
    model = dice.choice(MODELS)
    failed = dice.random() < 0.03
    attempts: tuple[Attempted, ...] = (Attempted(backend="desk", model=model, milliseconds=900),)
    if failed:
        attempts = (Attempted(backend="desk", model=dice.choice(MODELS), failure="server"), *attempts)
    is_shadow = dice.random() < 0.1
    return ExchangeRecord(
        id=request_id(at_ms, dice.getrandbits(52)),
        started_ms=at_ms,
        tenant=dice.choice(TENANTS),
        client="app",
        client_id="" if is_shadow else "cli_1",
        wire="openai.chat",
        operation="chat",
        requested_model="fast",
        model=model,
        backend="desk",
        locality="local",
        sensitivity="internal",
        task_type=dice.choice(TASKS),
        purpose="shadow" if is_shadow else "",
        parent_id="req_source" if is_shadow else "",
        finish_reason="stop",
        outcome=Outcome.CANCELLED if dice.random() < 0.02 else Outcome.OK,
        input_tokens=dice.randrange(50, 2000),
        output_tokens=dice.randrange(5, 500),
        cost_nano=dice.randrange(10**6),
        duration_ms=int(dice.lognormvariate(6.9, 0.9)),
        attempts=attempts,
        keep=keep,
        request_body=PROMPT if keep == "full" else b"",
        answer_wire="openai.chat",
        answer_body=ANSWER if keep == "full" else b"",
    )


async def fill(sessions: Sessions, count: int, days: int) -> float:
    """Store so many exchanges; the seconds that it took."""
    writer = ExchangeWriter(sessions, along=[LedgerWriter().post], of_new=[Rollups().count])
    began = time.monotonic()
    for batch in records(count, days, random.Random(1), keep="metadata"):
        await writer.store(batch)
    return time.monotonic() - began


async def judge(sessions: Sessions, count: int, days: int) -> None:
    """Write so many scores and a quarter as many verdicts down, spread over the same tasks, models and days."""
    dice, now = random.Random(2), Clock().wall_ms()
    for table, rows in ((SCORES, count), (VERDICTS, count // 4)):
        for start in range(0, rows, BATCH):
            many = [
                _opinion(table, number, now - dice.randrange(days * DAY_MS), dice)
                for number in range(start, start + BATCH)
            ]
            async with sessions.write(OPERATOR) as session:
                await session.execute(insert(table), many)


def _opinion(table: Any, number: int, at_ms: int, dice: random.Random) -> dict[str, Any]:
    row: dict[str, Any] = {
        column.name: None if column.nullable else 0 if column.type.python_type is int else ""
        for column in table.columns
    }
    row |= {"tenant_id": dice.choice(TENANTS), "id": f"id_{number}", "author": f"a_{number}", "via": "judge"}
    row |= {"task_type": dice.choice(TASKS), "subject_ms": at_ms, "created_ms": at_ms}
    if table is SCORES:
        row |= {"subject_kind": dice.choice(("exchange", "shadow")), "subject_id": f"s_{number}", "dimensions": "{}"}
        return row | {"model": dice.choice(MODELS), "score": dice.randrange(1, 6), "updated_ms": at_ms}
    row |= {"first_kind": "exchange", "first_id": f"f_{number}", "first_model": dice.choice(MODELS)}
    row |= {"second_kind": "shadow", "second_id": f"s_{number}", "second_model": dice.choice(MODELS)}
    return row | {"winner": dice.choice(("first", "second", "tie"))}


async def asked(
    comparison: Comparison, task_type: str | None, days: int, times: int
) -> tuple[Compared, list[float], list[float]]:
    """Compare so often; the last answer, the milliseconds of each, and those of the processor in this process."""
    taken, used = [], []
    for _ in range(times):
        began, processor = time.perf_counter(), time.process_time()
        compared = await comparison.compare(task_type=task_type, days=days)
        taken.append((time.perf_counter() - began) * 1000)
        used.append((time.process_time() - processor) * 1000)
    return compared, taken, used


async def measure(name: str, place: Path | str, options: argparse.Namespace) -> None:
    """Fill one database and ask it."""
    async with Database(place) as database:
        sessions = Sessions(database)
        seconds = await fill(sessions, options.rows, options.days)
        await judge(sessions, options.scores, options.days)
        rows = [await _count(sessions, table) for table in (EVAL_DAYS, EVAL_LATENCIES)]
        print(
            f"{name}: {options.rows:,} exchanges stored in {seconds:.0f} s ({seconds / options.rows * 1e6:.0f} us each), ",
            end="",
        )
        print(f"{rows[0]:,} rows of daily figures, {rows[1]:,} of latencies, {options.scores:,} scores")
        comparison = Comparison(StoredFigures(sessions), StoredScores(sessions), Clock())
        for task_type in (TASKS[0], None):
            compared, taken, used = await asked(comparison, task_type, options.days, options.times)
            answers = sum(row.job_count for row in compared.rows)
            print(
                f"{name}: compare {task_type or 'all traffic'}: fastest {min(taken):.0f} ms, median {statistics.median(taken):.0f} ms ({min(used):.0f} ms of this process), "
                f"slowest of {len(taken)} {max(taken):.0f} ms; {len(compared.rows)} models, {answers:,} answers"
            )


async def _count(sessions: Sessions, table: Any) -> int:
    async with sessions.read(OPERATOR) as session:
        return int((await session.execute(select(func.count()).select_from(table))).scalar_one())


async def cost(name: str, place: Path | str, options: argparse.Namespace) -> None:
    """What counting adds to storing an exchange with its bodies: with and without in turns, in one database."""
    async with Database(place) as database:
        sessions = Sessions(database)
        along = [LedgerWriter().post]
        writers = {
            "without": ExchangeWriter(sessions, along=along),
            "with": ExchangeWriter(sessions, along=along, of_new=[Rollups().count]),
        }
        processor: dict[str, list[float]] = {"without": [], "with": []}
        wall: dict[str, list[float]] = {"without": [], "with": []}
        for number, batch in enumerate(records(options.cost_rows, 1, random.Random(3), keep="full")):
            which = "with" if number % 2 else "without"
            began, used = time.perf_counter(), time.process_time()
            await writers[which].store(batch)
            processor[which].append((time.process_time() - used) / len(batch) * 1e6)
            wall[which].append((time.perf_counter() - began) / len(batch) * 1e6)
        told = ", ".join(
            f"{which} {min(processor[which]):.1f} us of this process ({min(wall[which]):.1f} us in all)"
            for which in ("without", "with")
        )
        print(f"{name}: storing an exchange, in batches of {BATCH}, undisturbed: {told}")


@asynccontextmanager
async def sqlite_place() -> AsyncIterator[Path]:
    """A folder for the database, and nothing of it afterwards."""
    with tempfile.TemporaryDirectory(prefix="junto-bench-") as folder:
        yield Path(folder)


@contextmanager
def postgres_places() -> Iterator[tuple[str, str]]:
    """Two migrated databases of one server."""
    with running_postgres() as server:
        make_template(server)
        yield server.fresh(), server.fresh()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench.compare_figures", description="Compare over many exchanges.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="exchanges (default 1,000,000)")
    parser.add_argument("--scores", type=int, default=20_000, help="scores; there are a quarter as many verdicts")
    parser.add_argument("--days", type=int, default=30, help="over which they lie")
    parser.add_argument("--times", type=int, default=20, help="how often each comparison is asked for")
    parser.add_argument(
        "--cost-rows", type=int, default=20_000, help="exchanges by which the cost of counting is measured"
    )
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one of the databases")
    return parser.parse_args()


async def run(options: argparse.Namespace) -> None:
    """Measure what was asked for."""
    if options.only != "postgres":
        async with sqlite_place() as place:
            await cost("SQLite", place / "cost", options)
            await measure("SQLite", place / "figures", options)
    if options.only != "sqlite":
        with postgres_places() as (first, second):
            await cost("Postgres", first, options)
            await measure("Postgres", second, options)


if __name__ == "__main__":
    asyncio.run(run(arguments()))
