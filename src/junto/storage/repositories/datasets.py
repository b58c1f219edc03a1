"""Scores and verdicts in the order of data sets. Implements ports.datasets.DatasetStore; the same SQL on every database.

A page is found by the index on task and time and by the last row of the page before, so that the thousandth costs what the first did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select, tuple_

from junto.ports.datasets import ScoreRow, VerdictRow
from junto.ports.scores import Winner
from junto.ports.subjects import Subject, SubjectKind
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import SCORES, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Table

    from junto.ports.datasets import EvidenceQuery
    from junto.ports.scores import Via
    from junto.storage.sessions import Session, Sessions

_SCORE_KEY = ("tenant_id", "subject_kind", "subject_id", "id")
_VERDICT_KEY = ("tenant_id", "first_id", "second_id", "first_kind", "second_kind", "id")


class StoredDatasets:
    """Implements ports.datasets.DatasetStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def next_scored_task(self, query: EvidenceQuery, after: str | None) -> str | None:
        return await self._next_task(SCORES, query, after)

    async def next_decided_task(self, query: EvidenceQuery, after: str | None) -> str | None:
        return await self._next_task(VERDICTS, query, after)

    async def scores(
        self, query: EvidenceQuery, task_type: str, *, after: ScoreRow | None, limit: int
    ) -> Sequence[ScoreRow]:
        last = None if after is None else (after.subject_ms, _score_key(after))
        table = SCORES.c
        async with self._sessions.read(OPERATOR) as session:
            found = await session.execute(
                select(*(table[name] for name in (*_SCORE_KEY, "subject_ms", "score")))
                .where(*_conditions(session, SCORES, query), table.task_type == task_type)
                .where(*_beyond(SCORES, _SCORE_KEY, last))
                .order_by(table.subject_ms, *(table[name] for name in _SCORE_KEY))
                .limit(limit)
            )
            return [
                ScoreRow(
                    Subject(row.tenant_id, SubjectKind(row.subject_kind), row.subject_id),
                    row.subject_ms,
                    row.id,
                    row.score,
                )
                for row in found
            ]

    async def verdicts(
        self, query: EvidenceQuery, task_type: str, *, after: VerdictRow | None, limit: int
    ) -> Sequence[VerdictRow]:
        last = None if after is None else (after.subject_ms, _verdict_key(after))
        table = VERDICTS.c
        async with self._sessions.read(OPERATOR) as session:
            found = await session.execute(
                select(*(table[name] for name in (*_VERDICT_KEY, "subject_ms", "winner")))
                .where(*_conditions(session, VERDICTS, query), table.task_type == task_type)
                .where(*_beyond(VERDICTS, _VERDICT_KEY, last))
                .order_by(table.subject_ms, *(table[name] for name in _VERDICT_KEY))
                .limit(limit)
            )
            return [
                VerdictRow(
                    Subject(row.tenant_id, SubjectKind(row.first_kind), row.first_id),
                    Subject(row.tenant_id, SubjectKind(row.second_kind), row.second_id),
                    row.subject_ms,
                    row.id,
                    Winner(row.winner),
                )
                for row in found
            ]

    async def means(self, subjects: Collection[Subject], via: Via | None) -> Mapping[Subject, float]:
        if not subjects:
            return {}
        table = SCORES.c
        key = (table.tenant_id, table.subject_kind, table.subject_id)
        async with self._sessions.read(OPERATOR) as session:
            found = await session.execute(
                select(*key, func.sum(table.score).label("total"), func.count().label("scores"))
                .where(session.within(SCORES), tuple_(*key).in_([_plain(one) for one in subjects]))
                .where(*_of(table.via, via))
                .group_by(*key)
            )
            return {
                Subject(row.tenant_id, SubjectKind(row.subject_kind), row.subject_id): int(row.total) / row.scores
                for row in found
            }

    async def decided(
        self, pairs: Collection[tuple[Subject, Subject]], via: Via | None
    ) -> Collection[frozenset[Subject]]:
        if not pairs:
            return set()
        table = VERDICTS.c
        key = tuple_(table.tenant_id, table.first_id, table.second_id)
        ids = [(one.tenant_id, one.id, other.id) for one, other in pairs]
        swapped = [(one.tenant_id, other.id, one.id) for one, other in pairs]
        async with self._sessions.read(OPERATOR) as session:
            found = await session.execute(
                select(table.tenant_id, table.first_kind, table.first_id, table.second_kind, table.second_id)
                .where(session.within(VERDICTS), or_(key.in_(ids), key.in_(swapped)))
                .where(*_of(table.via, via))
                .distinct()
            )
            return {
                frozenset(
                    (
                        Subject(row.tenant_id, SubjectKind(row.first_kind), row.first_id),
                        Subject(row.tenant_id, SubjectKind(row.second_kind), row.second_id),
                    )
                )
                for row in found
            }

    async def _next_task(self, table: Table, query: EvidenceQuery, after: str | None) -> str | None:
        later = () if after is None else (table.c.task_type > after,)
        async with self._sessions.read(OPERATOR) as session:
            found = await session.execute(
                select(table.c.task_type)
                .where(*_conditions(session, table, query), *later)
                .order_by(table.c.task_type)
                .limit(1)
            )
            return found.scalar_one_or_none()


def _conditions(session: Session, table: Table, query: EvidenceQuery) -> list[ColumnElement[bool]]:
    columns = table.c
    kind = _of(columns.subject_kind, query.kind) if table is SCORES else []
    return [
        session.within(table),
        columns.sensitivity.in_(query.tiers),
        columns.subject_ms >= query.since_ms,
        *_of(columns.task_type, query.task_type),
        *_of(columns.via, query.via),
        *_of(columns.tenant_id, query.tenant_id),
        *kind,
    ]


def _of(column: Column[Any], value: str | None) -> list[ColumnElement[bool]]:
    return [] if value is None else [column == value]


def _beyond(table: Table, key: tuple[str, ...], last: tuple[int, tuple[str, ...]] | None) -> list[ColumnElement[bool]]:
    """The rows after that one in the order of time and key. The first of both conditions is what the index is good for."""
    if last is None:
        return []
    last_ms, last_key = last
    columns = table.c
    is_later = tuple_(*(columns[name] for name in key)) > last_key
    return [columns.subject_ms >= last_ms, or_(columns.subject_ms > last_ms, is_later)]


def _plain(subject: Subject) -> tuple[str, str, str]:
    return subject.tenant_id, subject.kind.value, subject.id


def _score_key(row: ScoreRow) -> tuple[str, ...]:
    return (*_plain(row.subject), row.id)


def _verdict_key(row: VerdictRow) -> tuple[str, ...]:
    first, second = row.first, row.second
    return first.tenant_id, first.id, second.id, first.kind.value, second.kind.value, row.id
