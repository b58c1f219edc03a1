"""Scores and verdicts come page by page, each once and in one order, whatever the size of a page and on every database."""

from __future__ import annotations

import random
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from junto.bootstrap.clock import SystemClock
from junto.evals.exporting import Datasets, Export
from junto.ports.datasets import EvidenceQuery
from junto.ports.scores import NewScore, NewVerdict, Via, Winner
from junto.ports.subjects import Said, Subject, SubjectFacts, SubjectKind
from junto.storage.repositories.datasets import StoredDatasets
from junto.storage.repositories.scores import StoredScores

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from junto.storage.engine import Database
    from junto.storage.sessions import Sessions

pytestmark = pytest.mark.anyio

TENANTS = ("default", "acme")
TASKS = ("", "mail", "Mail", "zoo", "ärger")
EVERY_TIER = ("public", "internal", "confidential")


def every(**more: Any) -> EvidenceQuery:
    return EvidenceQuery(**{"tiers": EVERY_TIER, "since_ms": 0, **more})


def score(number: int, subject: Subject, value: int = 3, **more: Any) -> NewScore:
    standing: dict[str, Any] = {
        "id": f"sc_{number:04}",
        "subject": subject,
        "task_type": "mail",
        "model": "m",
        "client_id": "c",
        "sensitivity": "internal",
        "subject_ms": 1000,
        "score": value,
        "via": Via.ADMIN,
        "author": "admin",
    }
    return NewScore(**{**standing, **more})


def verdict(number: int, first: Subject, second: Subject, winner: Winner = Winner.FIRST, **more: Any) -> NewVerdict:
    standing: dict[str, Any] = {
        "id": f"ve_{number:04}",
        "first": first,
        "second": second,
        "first_model": "m",
        "second_model": "n",
        "task_type": "mail",
        "sensitivity": "internal",
        "subject_ms": 1000,
        "winner": winner,
        "via": Via.ADMIN,
        "author": "admin",
    }
    return NewVerdict(**{**standing, **more})


def subject(id: str, kind: SubjectKind = SubjectKind.EXCHANGE, tenant: str = "default") -> Subject:
    return Subject(tenant, kind, id)


async def all_tasks(query: EvidenceQuery, next_task: Callable[..., Awaitable[str | None]]) -> list[str]:
    found: list[str] = []
    task = await next_task(query, None)
    while task is not None:
        found.append(task)
        task = await next_task(query, task)
    return found


async def all_rows(
    read: Callable[..., Awaitable[Sequence[Any]]], query: EvidenceQuery, task: str, size: int
) -> list[Any]:
    found: list[Any] = []
    while True:
        page = await read(query, task, after=found[-1] if found else None, limit=size)
        found += page
        if len(page) < size:
            return found


@pytest.mark.parametrize("size", [1, 7, 500])
async def test_every_score_is_read_once_and_those_of_a_subject_together(sessions: Sessions, size: int) -> None:
    dice = random.Random(size)
    scores, reader = StoredScores(sessions), StoredDatasets(sessions)
    written: dict[str, list[str]] = {task: [] for task in TASKS}
    for number in range(25):
        one = subject(f"s{number:02}", dice.choice(list(SubjectKind)), dice.choice(TENANTS))
        of_it = {"task_type": dice.choice(TASKS), "subject_ms": dice.randrange(4)}
        for at, via in enumerate(dice.sample(list(Via), dice.randrange(1, 4))):
            new = score(number * 10 + at, one, dice.randrange(1, 6), via=via, **of_it)
            await scores.save(new)
            written[new.task_type].append(new.id)
    tasks = await all_tasks(every(), reader.next_scored_task)
    assert sorted(tasks) == sorted(task for task, ids in written.items() if ids)
    for task in tasks:
        rows = await all_rows(reader.scores, every(), task, size)
        assert sorted(row.id for row in rows) == sorted(written[task])
        assert [row.subject_ms for row in rows] == sorted(row.subject_ms for row in rows)
        groups = [subject for subject, _ in groupby(rows, key=lambda row: row.subject)]
        assert len(groups) == len(set(groups))


@pytest.mark.parametrize("size", [1, 500])
async def test_every_verdict_is_read_once_and_those_on_a_pair_together(sessions: Sessions, size: int) -> None:
    dice = random.Random(size)
    scores, reader = StoredScores(sessions), StoredDatasets(sessions)
    for number in range(15):
        first, second = subject(f"a{number // 2}"), subject(f"b{number // 3}", SubjectKind.SHADOW)
        await scores.save_verdict(
            verdict(number, first, second, dice.choice(list(Winner)), author=str(number), subject_ms=number // 6)
        )
    assert await all_tasks(every(), reader.next_decided_task) == ["mail"]
    rows = await all_rows(reader.verdicts, every(), "mail", size)
    assert sorted(row.id for row in rows) == [f"ve_{number:04}" for number in range(15)]
    groups = [pair for pair, _ in groupby(rows, key=lambda row: (row.first, row.second))]
    assert len(groups) == len(set(groups))


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (every(), ["one", "two", "three"]),
        (every(tiers=("public", "internal")), ["one", "three"]),
        (every(since_ms=1500), ["three"]),
        (every(via=Via.JUDGE), ["three"]),
        (every(tenant_id="acme"), ["two"]),
        (every(kind=SubjectKind.SHADOW), ["three"]),
    ],
)
async def test_filters_keep_what_they_say(sessions: Sessions, query: EvidenceQuery, ids: list[str]) -> None:
    scores, reader = StoredScores(sessions), StoredDatasets(sessions)
    await scores.save(score(1, subject("one")))
    await scores.save(score(2, subject("two", tenant="acme"), sensitivity="confidential"))
    await scores.save(score(3, subject("three", SubjectKind.SHADOW), via=Via.JUDGE, subject_ms=2000))
    rows = await all_rows(reader.scores, query, "mail", 10)
    assert sorted(row.subject.id for row in rows) == sorted(ids)
    assert await reader.next_scored_task(query, None) == "mail"


async def test_means_are_of_the_subjects_asked_for_and_the_way_of_scoring(sessions: Sessions) -> None:
    scores, reader = StoredScores(sessions), StoredDatasets(sessions)
    one, two = subject("one"), subject("one", SubjectKind.SHADOW)
    await scores.save(score(1, one, 5))
    await scores.save(score(2, one, 2, via=Via.JUDGE))
    await scores.save(score(3, two, 1))
    assert await reader.means({one, subject("none")}, None) == {one: 3.5}
    assert await reader.means({one, two}, Via.ADMIN) == {one: 5.0, two: 1.0}
    assert await reader.means(set(), None) == {}


async def test_a_pair_is_decided_in_either_order(sessions: Sessions) -> None:
    scores, reader = StoredScores(sessions), StoredDatasets(sessions)
    one, two, three = subject("one"), subject("two", SubjectKind.SHADOW), subject("three", SubjectKind.SHADOW)
    await scores.save_verdict(verdict(1, one, two, Winner.TIE))
    asked = [(two, one), (one, two), (one, three)]
    assert set(await reader.decided(asked, None)) == {frozenset((one, two))}
    assert set(await reader.decided(asked, Via.JUDGE)) == set()
    assert set(await reader.decided([], None)) == set()


async def test_nothing_of_the_database_is_held_while_a_reader_takes_its_time(
    sessions: Sessions, database: Database
) -> None:
    """Between two pieces every connection is back in its pool."""
    scores = StoredScores(sessions)
    for number in range(40):
        await scores.save(score(number, subject(f"s{number:02}"), 5, subject_ms=SystemClock().wall_ms()))
    datasets = Datasets(StoredDatasets(sessions), Everything(), SystemClock(), allows_confidential=lambda: False)
    taken: list[int] = []
    async for piece in datasets.sft(Export(days=3650)):
        taken.append(piece.count(b"\n"))
        assert database.reader.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert taken == [16, 16, 8]


class Everything:
    """Every subject, with a question and an answer. Implements SubjectStore as far as data sets need it."""

    async def find_many(self, subjects: Sequence[Subject], *, texts: bool = True) -> Mapping[Subject, SubjectFacts]:
        return {one: self._facts(one) for one in subjects}

    async def find(self, subject: Subject, *, texts: bool = True) -> SubjectFacts | None:
        return self._facts(subject)

    async def find_anywhere(self, kind: SubjectKind, subject_id: str, *, texts: bool = True) -> SubjectFacts | None:
        return self._facts(Subject("default", kind, subject_id))

    def _facts(self, subject: Subject) -> SubjectFacts:
        return SubjectFacts(
            subject=subject,
            task_type="mail",
            model="m",
            client_id="c",
            sensitivity="internal",
            started_ms=1000,
            answered=True,
            has_text=True,
            messages=(Said("user", "Who?"),),
            answer=subject.id,
        )
