"""Proposals in the database, and the pairs of scores that they rest on. Rows are the operator's, of all tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from junto.ports.proposals import DECIDED, LIVE, Past, Proposal, ProposalStatus, Trio
from junto.ports.scores import Via
from junto.ports.subjects import SubjectKind
from junto.storage.repositories.jobs_rows import Transactions
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import PROPOSALS, SCORES, SHADOWS
from junto.storage.tables.routes import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select, Table

    from junto.ports.proposals import Change, NewProposal, PairQuery
    from junto.storage.sessions import Session, Sessions

_TURN: Final = "proposals.turn"  # a counter that is no copy's: it says when it is somebody's turn again
_MOST: Final = 4  # the largest difference of two scores
_ROW: Final = PROPOSALS.c
_EVIDENCE: Final = msgspec.json.Decoder(dict[str, Any])


class StoredProposals:
    """Implements ports.proposals.ProposalStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def add(self, proposal: NewProposal) -> bool:
        async with self._transaction(OPERATOR) as session:
            added = await session.execute(
                _insert(session, PROPOSALS)
                .values(
                    id=proposal.id,
                    task_type=proposal.trio.task_type,
                    incumbent=proposal.trio.incumbent,
                    candidate=proposal.trio.candidate,
                    route_version=proposal.route_version,
                    tried=proposal.tried,
                    status=proposal.status.value,
                    evidence=_json(proposal.evidence),
                    reason=proposal.reason,
                    decided_by="",
                    new_version=proposal.new_version,
                    created_ms=session.now_ms,
                    updated_ms=session.now_ms,
                )
                .on_conflict_do_nothing()
                .returning(_ROW.id)
            )
            return added.first() is not None

    async def find(self, proposal_id: str) -> Proposal | None:
        return await self._first(select(PROPOSALS).where(_ROW.id == proposal_id))

    async def of_version(self, trio: Trio, route_version: int) -> Proposal | None:
        of_it = select(PROPOSALS).where(_is(trio), _ROW.route_version == route_version)
        return await self._first(of_it.order_by(_ROW.tried.desc()).limit(1))

    async def live(self) -> Sequence[Proposal]:
        return await self._all(select(PROPOSALS).where(_ROW.status.in_(LIVE)).order_by(_ROW.id))

    async def page(
        self, *, task_type: str | None, status: ProposalStatus | None, before: str | None, limit: int
    ) -> Sequence[Proposal]:
        asked = select(PROPOSALS).order_by(_ROW.id.desc()).limit(limit)
        if task_type is not None:
            asked = asked.where(_ROW.task_type == task_type)
        if status is not None:
            asked = asked.where(_ROW.status == status.value)
        if before is not None:
            asked = asked.where(_ROW.id < before)
        return await self._all(asked)

    async def change(self, proposal: Proposal, change: Change) -> bool:
        values: dict[str, Any] = {"status": change.status.value, "reason": change.reason, "decided_by": change.by}
        if change.new_version is not None:
            values["new_version"] = change.new_version
        if change.evidence is not None:
            values["evidence"] = _json(change.evidence)
        async with self._transaction(OPERATOR) as session:
            if change.status is not ProposalStatus.OPEN:
                values["decided_ms"] = session.now_ms
            return await _update(session, proposal, values)

    async def note(self, proposal: Proposal, evidence: dict[str, Any]) -> bool:
        async with self._transaction(OPERATOR) as session:
            return await _update(session, proposal, {"evidence": _json(evidence)})

    async def past(self, trio: Trio) -> Past:
        asked = select(func.count().label("times"), func.max(_ROW.decided_ms).label("last_ms")).where(
            _is(trio), _ROW.status.in_(DECIDED)
        )
        async with self._transaction(OPERATOR, reading=True) as session:
            row = (await session.execute(asked)).mappings().one()
            return Past(row["times"], row["last_ms"] or 0)

    async def take_turn(self, *, every_ms: int) -> bool:
        async with self._transaction(OPERATOR) as session:
            then = session.now_ms + every_ms
            taken = await session.execute(
                _insert(session, VERSIONS)
                .values(name=_TURN, version=then)
                .on_conflict_do_update(
                    index_elements=[VERSIONS.c.name], set_={"version": then}, where=VERSIONS.c.version <= session.now_ms
                )
                .returning(VERSIONS.c.name)
            )
            return taken.first() is not None

    async def _first(self, asked: Select[Any]) -> Proposal | None:
        return next(iter(await self._all(asked)), None)

    async def _all(self, asked: Select[Any]) -> list[Proposal]:
        async with self._transaction(OPERATOR, reading=True) as session:
            return [_proposal(row) for row in (await session.execute(asked)).mappings()]


class StoredPairs:
    """Implements ports.proposals.PairStore."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def differences(self, query: PairQuery) -> tuple[int, ...]:
        counts = [0] * (2 * _MOST + 1)
        if not query.incumbents:
            return tuple(counts)
        async with self._transaction(OPERATOR, reading=True) as session:
            for row in await session.execute(_counted(query)):
                counts[row.difference + _MOST] += row.times
        return tuple(counts)


def _counted(query: PairQuery) -> Select[Any]:
    """Differences with how often they are, of the pair of scores that counts most of each shadow."""
    shadow, ours, theirs = SHADOWS.c, SCORES.alias("ours"), SCORES.alias("theirs")
    rank = case({Via.ADMIN.value: 0, Via.JUDGE_PANEL.value: 1, Via.JUDGE.value: 2}, value=ours.c.via, else_=3)
    # Of a panel, too: it goes by the names of all its judges, and another one may be stricter.
    same_rater = and_(theirs.c.via == ours.c.via, theirs.c.author == ours.c.author)
    of_shadow = and_(
        ours.c.tenant_id == shadow.tenant_id,
        ours.c.subject_kind == SubjectKind.SHADOW.value,
        ours.c.subject_id == shadow.id,
    )
    of_source = and_(
        theirs.c.tenant_id == shadow.tenant_id,
        theirs.c.subject_kind == shadow.source_kind,
        theirs.c.subject_id == shadow.source_id,
        same_rater,
    )
    first = (
        func.row_number()
        .over(
            partition_by=(shadow.tenant_id, shadow.id),
            order_by=(rank, ours.c.author),
        )
        .label("place")
    )
    pairs = (
        select((ours.c.score - theirs.c.score).label("difference"), first)
        .select_from(SHADOWS.join(ours, of_shadow).join(theirs, of_source))
        .where(
            shadow.task_type == query.task_type,
            shadow.created_ms >= query.since_ms,
            shadow.model == query.candidate,
            shadow.production_model.in_(sorted(query.incumbents)),
        )
        .subquery()
    )
    return (
        select(pairs.c.difference, func.count().label("times")).where(pairs.c.place == 1).group_by(pairs.c.difference)
    )


async def _update(session: Session, proposal: Proposal, values: dict[str, Any]) -> bool:
    changed = await session.execute(
        update(PROPOSALS)
        .where(_ROW.id == proposal.id, _ROW.status == proposal.status.value)
        .values(**values, updated_ms=session.now_ms)
    )
    return bool(changed.rowcount)


def _is(trio: Trio) -> ColumnElement[bool]:
    return and_(_ROW.task_type == trio.task_type, _ROW.incumbent == trio.incumbent, _ROW.candidate == trio.candidate)


def _insert(session: Session, table: Table) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if session.connection.dialect.name == "sqlite" else postgresql.insert(table)


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


def _proposal(row: RowMapping) -> Proposal:
    return Proposal(
        id=row["id"],
        trio=Trio(row["task_type"], row["incumbent"], row["candidate"]),
        route_version=row["route_version"],
        tried=row["tried"],
        status=ProposalStatus(row["status"]),
        evidence=_EVIDENCE.decode(row["evidence"]),
        reason=row["reason"],
        decided_by=row["decided_by"],
        new_version=row["new_version"],
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
        decided_ms=row["decided_ms"],
    )
