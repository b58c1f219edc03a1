"""Shadows as whoever replays them knows them: kept, claimed, ended, given back. Implements ports.shadows.ShadowWork.

Invariants: every write for a claim is guarded by its fence and its status in one statement. What a day's cap has room for is asked
and put aside in the claim's own transaction, by one guarded update, so however many claim at once it is never promised twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, or_, select, true, update

from junto.core.periods import day_of
from junto.ports.shadows import CapReached, Claim, ShadowStatus, Swept, Waiting, Why
from junto.storage.repositories.jobs_rows import Transactions, pack, sealed
from junto.storage.repositories.shadows_rows import HEAD, TEXTS, delete_old, insert_ignoring, shadow_of, without_nul
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import SHADOW_DAYS, SHADOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping

    from junto.core.exchange import ExchangeRecord
    from junto.ports.shadows import Ended, NewShadow, ShadowChooser, StoredShadow
    from junto.storage.repositories.shadows_rows import Key
    from junto.storage.retention import Purge
    from junto.storage.sessions import Session, Sessions

BACKLOG: Final = 10_000
_AT_ONCE: Final = 200
_SLICE_BYTES: Final = 256 * 1024  # of bodies that are read at a stretch on the event loop
_ROW: Final = SHADOWS.c
_DAY: Final = SHADOW_DAYS.c
_GONE: Final = {"request_codec": "", "request": None}


class ShadowIntake:
    """Keeps the shadows of exchanges in the transaction that stores these. Does nothing until it is told by whom they are chosen."""

    def __init__(self, *, most: int = BACKLOG) -> None:
        self._most = most
        self._chooser: ShadowChooser | None = None

    def attach(self, chooser: ShadowChooser) -> None:
        """Choose by this from now on."""
        self._chooser = chooser

    async def post(self, session: Session, records: Sequence[ExchangeRecord]) -> None:
        """Keep what is chosen of these, as far as there is room; what is there already stays as it is."""
        chooser = self._chooser
        if chooser is None:
            return
        chosen = await _chosen(chooser, records)
        if not chosen:
            return
        waiting = select(func.count()).select_from(SHADOWS).where(_ROW.finished_ms.is_(None))
        room = max(self._most - int((await session.execute(waiting)).scalar_one()), 0)
        now = int((await session.execute(select(session.now_ms))).scalar_one())
        kept = [one for one in chosen[:room] if await self._keep(session, one, now)]
        chooser.kept(kept, dropped=chosen[room:])

    async def _keep(self, session: Session, new: NewShadow, now: int) -> bool:
        packed = sealed(session, await pack(new.request), new.tenant_id, new.id, "request")
        names = (
            *("id", "tenant_id", "source_kind", "source_id", "task_type", "client_id", "sensitivity", "wire"),
            *("production_model", "model", "prompt_version", "route_version"),
        )
        row: dict[str, Any] = {name: without_nul(getattr(new, name)) for name in names}
        row |= {"status": ShadowStatus.PENDING.value, "day": day_of(now), "created_ms": now}
        row |= {"request_codec": packed.codec, "request": packed.content}
        row |= dict.fromkeys(("worker", "answer_codec", "error_code", "model_used", "backend"), "")
        row |= dict.fromkeys(
            ("held_nano", "fence", "attempts", "tokens_in", "tokens_out", "latency_ms", "cost_nano"), 0
        )
        inserted = await session.execute(insert_ignoring(session, SHADOWS).values(row).returning(_ROW.id))
        return inserted.first() is not None


class StoredShadowWork:
    """The shadows of one database, all tenants': they are the operator's work."""

    def __init__(self, sessions: Sessions) -> None:
        self._transaction = Transactions(sessions)

    async def waiting(self) -> Sequence[Waiting]:
        by = (_ROW.task_type, _ROW.model)
        ranked = (
            select(
                _ROW.tenant_id,
                _ROW.id,
                func.row_number().over(partition_by=by, order_by=(_ROW.created_ms, _ROW.id)).label("place"),
                func.count().over(partition_by=by).label("waiting"),
            )
            .where(_ROW.finished_ms.is_(None), _ROW.status == ShadowStatus.PENDING.value)
            .subquery()
        )
        asked = (
            select(*HEAD, *TEXTS["request"], ranked.c.waiting)
            .join(ranked, and_(ranked.c.tenant_id == _ROW.tenant_id, ranked.c.id == _ROW.id))
            .where(ranked.c.place == 1)
            .order_by(_ROW.created_ms, _ROW.id)
            .limit(_AT_ONCE)
        )
        async with self._transaction(OPERATOR, reading=True) as session:
            rows = (await session.execute(asked)).mappings().all()
        # Each may be as large as a body may be: they are not decompressed on the event loop.
        return await asyncio.to_thread(
            lambda: [Waiting(shadow=shadow_of(session, row), count=row["waiting"]) for row in rows]
        )

    async def claim(
        self, shadow: StoredShadow, worker: str, *, lease_ms: int, nano: int, cap_nano: int | None
    ) -> Claim | None:
        async with self._transaction(OPERATOR) as session:
            taken = await session.execute(
                update(SHADOWS)
                .where(_waits(_key(shadow)), _ROW.fence == shadow.fence)
                .values(
                    status=ShadowStatus.RUNNING.value,
                    fence=_ROW.fence + 1,
                    lease_ms=session.now_ms + lease_ms,
                    worker=worker,
                    held_nano=nano,
                )
                .returning(_ROW.day)
            )
            row = taken.first()
            if row is None:
                return None
            has_room = await _put_aside(session, row.day, shadow, nano, cap_nano)
            if not has_room:
                await session.execute(
                    update(SHADOWS).where(_at(_key(shadow))).values(**_dropped(session, Why.CAP), held_nano=0)
                )
        if not has_room:
            raise CapReached
        return Claim(shadow=shadow, fence=shadow.fence + 1)

    async def drop(self, shadow: StoredShadow, reason: Why) -> bool:
        async with self._transaction(OPERATOR) as session:
            ended = await session.execute(
                update(SHADOWS).where(_waits(_key(shadow))).values(**_dropped(session, reason))
            )
            return bool(ended.rowcount)

    async def end(self, claim: Claim, ended: Ended) -> bool:
        shadow, values = claim.shadow, _values(ended)
        async with self._transaction(OPERATOR) as session:
            mine = select(_ROW.day, _ROW.held_nano, _ROW.model, _ROW.task_type).where(_held(claim)).with_for_update()
            row = (await session.execute(mine)).mappings().first()
            if row is None:
                return False
            if ended.answer is not None:
                packed = sealed(session, await pack(ended.answer), *_key(shadow), "answer")
                values |= {"answer_codec": packed.codec, "answer": packed.content}
            if ended.status is not ShadowStatus.PENDING:
                values["finished_ms"] = session.now_ms
            if ended.status is ShadowStatus.DROPPED:
                values |= _GONE
            await session.execute(update(SHADOWS).where(_held(claim)).values(values))
            await _settle(session, row, spent=ended.nano)
        return True

    async def renew(self, claims: Sequence[Claim], *, lease_ms: int) -> None:
        if not claims:
            return
        async with self._transaction(OPERATOR) as session:
            await session.execute(
                update(SHADOWS)
                .where(or_(*(_held(claim) for claim in claims)))
                .values(lease_ms=session.now_ms + lease_ms)
            )

    async def sweep(self, *, older_than_ms: int, most_attempts: int) -> Sequence[Swept]:
        swept: list[Swept] = []
        async with self._transaction(OPERATOR) as session:
            for row in await _running(session, _ROW.lease_ms < session.now_ms):
                ends = row["attempts"] + 1 >= most_attempts
                await self._give_back(session, row, failed=True, ends=ends)
                if ends:
                    swept.append(_swept(row, ShadowStatus.FAILED, Why.CRASHED))
            old = (
                select(*HEAD)
                .where(_ROW.finished_ms.is_(None), _ROW.status == ShadowStatus.PENDING.value)
                .where(_ROW.created_ms < session.now_ms - older_than_ms)
                .order_by(_ROW.created_ms, _ROW.id)
                .limit(_AT_ONCE)
            )
            for row in (await session.execute(old.with_for_update())).mappings().all():
                key = (row["tenant_id"], row["id"])
                await session.execute(update(SHADOWS).where(_waits(key)).values(**_dropped(session, Why.EXPIRED)))
                swept.append(_swept(row, ShadowStatus.DROPPED, Why.EXPIRED))
        return swept

    async def release(self, worker: str | None) -> None:
        whose = true() if worker is None else _ROW.worker == worker
        async with self._transaction(OPERATOR) as session:
            for row in await _running(session, whose):
                await self._give_back(session, row, failed=False, ends=False)

    async def _give_back(self, session: Session, row: RowMapping, *, failed: bool, ends: bool) -> None:
        """Back to those that wait, or failed for good. What it had cost nobody knows: all that was put aside counts as spent."""
        status = ShadowStatus.FAILED if ends else ShadowStatus.PENDING
        values: dict[str, Any] = {"status": status.value, "lease_ms": None, "worker": "", "held_nano": 0}
        values["attempts"] = row["attempts"] + failed
        if ends:
            values |= {"error_code": Why.CRASHED.value, "finished_ms": session.now_ms}
        key = (row["tenant_id"], row["id"])
        await session.execute(update(SHADOWS).where(_at(key), _ROW.fence == row["fence"]).values(values))
        await _settle(session, row, spent=row["held_nano"])


def purge_shadows(sessions: Sessions, days: int | None) -> Purge:
    """What deletes shadows that are older than exchanges are kept; None: for ever."""

    async def purge(*, limit: int) -> int:
        return 0 if days is None else await delete_old(sessions, days=days, limit=limit)

    return purge


async def _running(session: Session, which: ColumnElement[bool]) -> Sequence[RowMapping]:
    asked = (
        select(*HEAD, _ROW.day, _ROW.held_nano)
        .where(_ROW.finished_ms.is_(None), _ROW.status == ShadowStatus.RUNNING.value, which)
        .order_by(_ROW.created_ms, _ROW.id)
        .limit(_AT_ONCE)
    )
    return (await session.execute(asked.with_for_update())).mappings().all()


async def _chosen(chooser: ShadowChooser, records: Sequence[ExchangeRecord]) -> Sequence[NewShadow]:
    """What is chosen of them; the loop goes on between such as are large, since whole bodies are read for it."""
    chosen: list[NewShadow] = []
    start = size = 0
    for end, record in enumerate(records, 1):
        size += len(record.request_body)
        if size > _SLICE_BYTES:
            chosen += chooser.choose(records[start:end])
            start, size = end, 0
            await asyncio.sleep(0)
    return [*chosen, *chooser.choose(records[start:])] if start else chooser.choose(records)


async def _put_aside(session: Session, day: str, shadow: StoredShadow, nano: int, cap: int | None) -> bool:
    """Whether the day has room for so much more of that candidate; then it is put aside."""
    task = without_nul(shadow.task_type)
    empty = {"day": day, "task_type": task, "model": shadow.model, "spent_nano": 0, "held_nano": 0}
    await session.execute(insert_ignoring(session, SHADOW_DAYS).values(empty))
    of_day = and_(_DAY.day == day, _DAY.task_type == task, _DAY.model == shadow.model)
    has_room = true() if cap is None else _DAY.spent_nano + _DAY.held_nano + nano <= cap
    put = await session.execute(update(SHADOW_DAYS).where(of_day, has_room).values(held_nano=_DAY.held_nano + nano))
    return bool(put.rowcount)


async def _settle(session: Session, row: RowMapping, *, spent: int) -> None:
    of_day = and_(_DAY.day == row["day"], _DAY.task_type == row["task_type"], _DAY.model == row["model"])
    await session.execute(
        update(SHADOW_DAYS)
        .where(of_day)
        .values(held_nano=_DAY.held_nano - row["held_nano"], spent_nano=_DAY.spent_nano + spent)
    )


def _values(ended: Ended) -> dict[str, Any]:
    return {
        "status": ended.status.value,
        "error_code": ended.error_code,
        "attempts": _ROW.attempts + (1 if ended.failed else 0),
        "cost_nano": _ROW.cost_nano + ended.nano,
        "model_used": ended.model_used,
        "backend": ended.backend,
        "tokens_in": ended.tokens_in,
        "tokens_out": ended.tokens_out,
        "latency_ms": ended.latency_ms,
        "lease_ms": None,
        "held_nano": 0,
    }


def _dropped(session: Session, reason: Why) -> dict[str, Any]:
    status = {"status": ShadowStatus.DROPPED.value, "error_code": reason.value, "finished_ms": session.now_ms}
    return status | _GONE | {"lease_ms": None}


def _key(shadow: StoredShadow) -> Key:
    return shadow.tenant_id, shadow.id


def _at(key: Key) -> ColumnElement[bool]:
    return and_(_ROW.tenant_id == key[0], _ROW.id == key[1])


def _waits(key: Key) -> ColumnElement[bool]:
    return and_(_at(key), _ROW.status == ShadowStatus.PENDING.value)


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(_at(_key(claim.shadow)), _ROW.status == ShadowStatus.RUNNING.value, _ROW.fence == claim.fence)


def _swept(row: RowMapping, status: ShadowStatus, reason: Why) -> Swept:
    return Swept(task_type=row["task_type"], model=row["model"], status=status, reason=reason.value)
