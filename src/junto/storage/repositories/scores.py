"""Scores, verdicts, score links, and what waits for review, in one database. Implements the Protocols of ports/scores.py.

What is one tenant's is written and read as that tenant. Tallies, reviews and the look-up of a link's token are the operator's.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, case, delete, exists, func, insert, or_, select, update

from junto.core.periods import DAY_MS
from junto.ports.scores import Link, Pair, Tally, VerdictTally, Via, Winner
from junto.ports.shadows import ShadowStatus
from junto.ports.subjects import Kind, Subject, SubjectKind, kind_of
from junto.storage.repositories.jobs_rows import Transactions
from junto.storage.repositories.scores_rows import score_of, verdict_of, write_score, write_verdict
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.evals import SCORE_LINKS, SCORES, SHADOWS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Table

    from junto.ports.scores import (
        NewLink,
        NewScore,
        NewVerdict,
        SavedScore,
        SavedVerdict,
        Score,
        TallyQuery,
        Verdict,
    )
    from junto.storage.sessions import Session, Sessions

_LINKS_KEPT_MS: Final = 30 * DAY_MS  # after their end: so long it is told apart whether one was used or never was


class StoredScores:
    """Implements ports.scores.ScoreStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def save(self, score: NewScore) -> SavedScore:
        async with self._transaction(Tenant(score.subject.tenant_id)) as session:
            return await write_score(session, score)

    async def save_verdict(self, verdict: NewVerdict) -> SavedVerdict:
        async with self._transaction(Tenant(verdict.first.tenant_id)) as session:
            return await write_verdict(session, verdict)

    async def save_review(self, scores: Sequence[NewScore], verdict: NewVerdict) -> tuple[Sequence[Score], Verdict]:
        async with self._transaction(Tenant(verdict.first.tenant_id)) as session:
            saved = [(await write_score(session, score)).score for score in scores]
            return saved, (await write_verdict(session, verdict)).verdict

    async def of(self, subject: Subject) -> Sequence[Score]:
        table = SCORES.c
        asked = (
            select(SCORES)
            .where(table.tenant_id == subject.tenant_id, table.subject_kind == subject.kind.value)
            .where(table.subject_id == subject.id)
            .order_by(table.id)
        )
        async with self._transaction(Tenant(subject.tenant_id), reading=True) as session:
            rows = await session.execute(asked.where(session.within(SCORES)))
            return [score_of(row, session.sealer) for row in rows.mappings()]

    async def verdicts_on(self, subject: Subject) -> Sequence[Verdict]:
        table = VERDICTS.c
        sides = [
            and_(table[f"{side}_id"] == subject.id, table[f"{side}_kind"] == subject.kind.value)
            for side in ("first", "second")
        ]
        asked = select(VERDICTS).where(table.tenant_id == subject.tenant_id, or_(*sides)).order_by(table.id)
        async with self._transaction(Tenant(subject.tenant_id), reading=True) as session:
            rows = await session.execute(asked.where(session.within(VERDICTS)))
            return [verdict_of(row, session.sealer) for row in rows.mappings()]

    async def tallies(self, query: TallyQuery) -> Sequence[Tally]:
        table = SCORES.c
        kind = case((table.subject_kind == SubjectKind.SHADOW.value, Kind.SHADOW.value), else_=Kind.PRODUCTION.value)
        groups = (table.model, kind.label("kind"), table.via, table.score)
        asked = select(*groups, func.count().label("counted")).group_by(table.model, kind, table.via, table.score)
        async with self._transaction(OPERATOR, reading=True) as session:
            rows = await session.execute(asked.where(*_within(session, SCORES, query)))
            counts: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * 5)
            for row in rows:
                counts[row.model, row.kind, row.via][row.score - 1] += int(row.counted)
        return [
            Tally(model=model, kind=Kind(kind), via=Via(via), counts=(one, two, three, four, five))
            for (model, kind, via), (one, two, three, four, five) in sorted(counts.items())
        ]

    async def verdict_tallies(self, query: TallyQuery) -> Sequence[VerdictTally]:
        table = VERDICTS.c
        groups = (table.first_model, table.first_kind, table.second_model, table.second_kind, table.via, table.winner)
        asked = select(*groups, func.count().label("counted")).group_by(*groups)
        async with self._transaction(OPERATOR, reading=True) as session:
            rows = (await session.execute(asked.where(*_within(session, VERDICTS, query)))).all()
        return _both_sides([(*row[:5], Winner(row.winner), int(row.counted)) for row in rows])


class StoredReviews:
    """Implements ports.scores.ReviewQueue: of all tenants, for the operator."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def waiting(self, *, task_type: str | None, limit: int, before: Pair | None = None) -> Sequence[Pair]:
        table = SHADOWS.c
        scored = exists().where(
            SCORES.c.tenant_id == table.tenant_id,
            SCORES.c.subject_kind == SubjectKind.SHADOW.value,
            SCORES.c.subject_id == table.id,
            SCORES.c.via == Via.ADMIN.value,
        )
        asked = (
            select(table.tenant_id, table.id, table.source_kind, table.source_id, table.created_ms)
            .where(table.status == ShadowStatus.COMPLETE.value, ~scored)
            .order_by(table.created_ms.desc(), table.id.desc())
            .limit(limit)
        )
        if task_type is not None:
            asked = asked.where(table.task_type == task_type)
        if before is not None:
            earlier = and_(table.created_ms == before.created_ms, table.id < before.shadow.id)
            asked = asked.where(or_(table.created_ms < before.created_ms, earlier))
        async with self._transaction(OPERATOR, reading=True) as session:
            rows = (await session.execute(asked)).all()
        return [
            Pair(
                source=Subject(row.tenant_id, SubjectKind(row.source_kind), row.source_id),
                shadow=Subject(row.tenant_id, SubjectKind.SHADOW, row.id),
                created_ms=row.created_ms,
            )
            for row in rows
        ]


class StoredLinks:
    """Implements ports.scores.LinkStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def add(self, link: NewLink, *, most: int) -> Link | None:
        row = {
            "tenant_id": link.subject.tenant_id,
            "id": link.id,
            "digest": link.digest,
            "subject_kind": link.subject.kind.value,
            "subject_id": link.subject.id,
        }
        async with self._transaction(Tenant(link.subject.tenant_id)) as session:
            mine = (SCORE_LINKS.c.tenant_id == row["tenant_id"]) & (SCORE_LINKS.c.subject_id == row["subject_id"])
            counted = select(func.count()).where(session.within(SCORE_LINKS), mine)
            if (await session.execute(counted)).scalar_one() >= most:
                return None
            times = {"created_ms": session.now_ms, "expires_ms": session.now_ms + link.ttl_ms}
            await session.execute(insert(SCORE_LINKS).values(**row, **times))
            return await _link(session, SCORE_LINKS.c.id == link.id)

    async def find(self, digest: str) -> Link | None:
        async with self._transaction(OPERATOR, reading=True) as session:
            return await _find_link(session, SCORE_LINKS.c.digest == digest)

    async def spend(self, link: Link, score: NewScore) -> SavedScore | None:
        table = SCORE_LINKS.c
        tenant_id = link.subject.tenant_id
        async with self._transaction(Tenant(tenant_id)) as session:
            used = await session.execute(
                update(SCORE_LINKS)
                .where(session.within(SCORE_LINKS), table.tenant_id == tenant_id, table.id == link.id)
                .where(table.used_ms.is_(None), table.expires_ms > session.now_ms)
                .values(used_ms=session.now_ms)
            )
            return await write_score(session, score) if used.rowcount else None


async def purge_links(sessions: Sessions, *, limit: int) -> int:
    """Delete at most so many score links that ended long ago; how many went."""
    table = SCORE_LINKS.c
    async with sessions.write(OPERATOR) as session:
        old = select(table.digest).where(table.expires_ms < session.now_ms - _LINKS_KEPT_MS).limit(limit)
        return (await session.execute(delete(SCORE_LINKS).where(table.digest.in_(old)))).rowcount


async def purge_notes(sessions: Sessions, *, days: int | None, limit: int) -> int:
    """Forget at most so many notes that are older than exchanges are kept: they may quote them. Scores stay; how many went.

    `days` None: exchanges are kept for ever.
    """
    gone = 0
    if days is None:
        return gone
    async with sessions.write(OPERATOR) as session:
        for table in (SCORES, VERDICTS):
            before = session.now_ms - days * DAY_MS
            old = select(table.c.id).where(table.c.note.is_not(None), table.c.created_ms < before).limit(limit)
            forgets = update(table).where(table.c.id.in_(old)).values(note=None, note_codec="")
            gone += (await session.execute(forgets)).rowcount
    return gone


async def _link(session: Session, which: ColumnElement[bool]) -> Link:
    found = await _find_link(session, which)
    assert found is not None  # noqa: S101  it was just written
    return found


async def _find_link(session: Session, which: ColumnElement[bool]) -> Link | None:
    is_expired = (SCORE_LINKS.c.expires_ms <= session.now_ms).label("is_expired")
    asked = select(SCORE_LINKS, is_expired).where(session.within(SCORE_LINKS), which)
    row = (await session.execute(asked)).mappings().first()
    if row is None:
        return None
    return Link(
        id=row["id"],
        subject=Subject(row["tenant_id"], SubjectKind(row["subject_kind"]), row["subject_id"]),
        expires_ms=row["expires_ms"],
        is_used=row["used_ms"] is not None,
        is_expired=bool(row["is_expired"]),
    )


def _within(session: Session, table: Table, query: TallyQuery) -> list[ColumnElement[bool]]:
    conditions = [session.within(table), table.c.subject_ms >= query.since_ms]
    if query.until_ms is not None:
        conditions.append(table.c.subject_ms < query.until_ms)
    if query.task_type is not None:
        conditions.append(table.c.task_type == query.task_type)
    return conditions


def _both_sides(rows: Sequence[tuple[Any, ...]]) -> list[VerdictTally]:
    """Each group of verdicts as seen from the first, and from the second."""
    counts: dict[tuple[str, str, str, str, str], dict[Winner, int]] = defaultdict(lambda: defaultdict(int))
    for first, first_kind, second, second_kind, via, winner, counted in rows:
        one, other = (first, _kind(first_kind)), (second, _kind(second_kind))
        counts[*one, *other, via][winner] += counted
        counts[*other, *one, via][winner.swapped] += counted
    return [
        VerdictTally(
            model=model,
            kind=Kind(kind),
            rival=rival,
            rival_kind=Kind(rival_kind),
            via=Via(via),
            wins=seen[Winner.FIRST],
            losses=seen[Winner.SECOND],
            ties=seen[Winner.TIE],
        )
        for (model, kind, rival, rival_kind, via), seen in sorted(counts.items(), key=lambda each: each[0])
    ]


def _kind(subject_kind: str) -> str:
    return kind_of(SubjectKind(subject_kind)).value
