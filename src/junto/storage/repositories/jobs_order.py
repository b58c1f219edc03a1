"""Which waiting jobs are next: clients in turn by their shares, and of a client's own jobs the most urgent first.

A job's `turn` is a point of virtual time at which its client is served (jobs_fairness.py). Turns belong to the client: when one comes,
it is taken by the first in the client's own line, which goes by priority and then by age, and whoever had it gets the turn of that
one. So a priority moves a client's own jobs only, and everyone else is served exactly as without it.

Of what is next, jobs that lie under another secret than this process has are set aside for those that have it.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog
from sqlalchemy import (
    BigInteger,
    Integer,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from junto.jobs.model import Event
from junto.ports.jobs import Kind
from junto.storage.repositories.jobs_rows import one_or_many, sources
from junto.storage.sealing import opens
from junto.storage.tables.jobs import JOBS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, CompoundSelect, CursorResult, Select, Update

    from junto.ports.jobs import Room
    from junto.storage.sessions import Session

type Key = tuple[str, str]

_SET_ASIDE_MS: Final = 30_000
_ROUNDS: Final = 4  # in which nothing but jobs of another secret was found
_COLUMNS: Final = tuple(JOBS.c[name] for name in ("tenant_id", "id", "client_id", "priority", "turn", "request_codec"))
_NEAR: Final = 256  # turns, among which those that are preferred are looked for
# In the words of the indexes of what waits: only so do the databases see that these are meant.
IS_PENDING: Final = and_(JOBS.c.finished_ms.is_(None), JOBS.c.lease_ms.is_(None))


class Waiting(NamedTuple):
    """A job that waits, as far as its place goes."""

    tenant_id: str
    id: str
    client_id: str
    priority: int
    turn: int
    request_codec: str
    is_behind: bool = False  # another one of its client seems to be before it in line
    kind: str = Kind.CHAT.value

    @property
    def key(self) -> Key:
        return self.tenant_id, self.id

    @property
    def client(self) -> Key:
        return self.tenant_id, self.client_id


class _Kind(NamedTuple):
    """What a worker has room for: `local` 1, 0 or (None) either; `full` are models of local jobs that it has none for."""

    local: int | None
    full: tuple[str, ...]
    prefer: tuple[str, ...]
    speech: int = 0


async def next_jobs(session: Session, room: Room, limit: int, prefer: Sequence[str]) -> Sequence[Key]:
    """The jobs that are next, locked and in their order; those that this process cannot read are put off."""
    kind, limit = _fitting(room, limit, prefer)
    for _ in range(_ROUNDS):
        turns = _waiting(await session.execute(*_asking_turns(session, kind, limit)))
        if not turns:
            break
        line = await _lines(session, kind, turns)
        chosen, moved = in_line(turns, line, prefers=bool(kind.prefer))
        if moved:
            await session.execute(_MOVE, one_or_many([_to(key, turn) for key, turn in moved.items()]))
        shut = [job for job in chosen if not opens(job.request_codec, session.sealer)]
        if shut:
            await _set_aside(session, shut)
        if len(shut) < len(chosen):
            return [job.key for job in _within_room([job for job in chosen if job not in shut], room)]
    return ()


def _within_room(chosen: Sequence[Waiting], room: Room) -> Sequence[Waiting]:
    """Those of them that there is room for: of speech, only so many."""
    speech = [job for job in chosen if job.kind == Kind.SPEECH.value]
    return chosen if len(speech) <= room.speech else [job for job in chosen if job not in speech[room.speech :]]


def in_line(
    turns: Sequence[Waiting], line: Sequence[Waiting], *, prefers: bool
) -> tuple[Sequence[Waiting], Mapping[Key, int]]:
    """Who takes those turns, of the jobs that have them and those that are before them in their clients' lines; and turns that change.

    `prefers`: the turns went to jobs that are preferred, and among equally urgent ones these stay before others.
    """
    have = {job.key for job in turns}
    by_client: dict[Key, list[Waiting]] = {}
    for job in (*turns, *(job for job in line if job.key not in have)):
        by_client.setdefault(job.client, []).append(job)
    takers: dict[Key, Waiting] = {}
    moved: dict[Key, int] = {}
    for own in by_client.values():
        had = [job for job in own if job.key in have]
        ordered = sorted(own, key=lambda job: (-job.priority, prefers and job.key not in have, job.id))
        first, later = ordered[: len(had)], ordered[len(had) :]
        come = [job for job in first if job.key not in have]
        gone = [job for job in later if job.key in have]
        takers |= {job.key: taker for job, taker in zip(had, first, strict=True)}
        for these, those in ((come, gone), (gone, come)):
            moved |= {job.key: turn for job, turn in zip(these, sorted(job.turn for job in those), strict=True)}
    return [takers[job.key] for job in turns], moved


def claimable(now_ms: ColumnElement[int], is_waiting: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    """Pending, due, within its deadline, and not to be cancelled; in sessions of the operator, who alone claims."""
    return (
        is_waiting,
        JOBS.c.due_ms <= now_ms,
        or_(JOBS.c.deadline_ms.is_(None), JOBS.c.deadline_ms > now_ms),
        JOBS.c.cancel_requested == 0,
    )


def pending_by_key() -> ColumnElement[bool]:
    """Pending, in a form that leads SQLite to the primary key and not through all that wait."""
    return func.coalesce(JOBS.c.status, "").in_(sources(Event.CLAIM))


def _fitting(room: Room, limit: int, prefer: Sequence[str]) -> tuple[_Kind, int]:
    local: int | None = None
    most = room.local + room.cloud
    if room.local <= 0:
        local, most = 0, room.cloud
    elif room.cloud <= 0:
        local, most = 1, room.local
    elif limit > min(room.local, room.cloud):
        limit = min(room.local, room.cloud)  # whichever kind they are, there is room for them
    full = () if local == 0 else tuple(room.full)
    return _Kind(local, full, tuple(prefer), room.speech), min(limit, most)


def _asking_turns(session: Session, kind: _Kind, limit: int) -> tuple[Select[Any], dict[str, Any]]:
    which = _Which(kind.local, bool(kind.full), kind.speech > 0)
    asked = _turns(session.now_ms, which, prefers=bool(kind.prefer))
    return asked, {"of_models": [*kind.prefer], "of_full": [*kind.full], "of_limit": limit}


async def _lines(session: Session, kind: _Kind, turns: Sequence[Waiting]) -> Sequence[Waiting]:
    """Of each client whose turns are not in its line's order, as many of its line as it has turns.

    Where some are preferred, the more urgent ones only.
    """
    given: dict[str, Any] = {"of_full": [*kind.full]}
    clients = [(client, [*own]) for client, own in groupby(sorted(turns, key=_client), key=_client)]
    clients = [(client, own) for client, own in clients if any(job.is_behind for job in own)]
    if not clients:
        return ()
    for number, ((tenant_id, client_id), own) in enumerate(clients):
        floor = min(job.priority for job in own) + 1 if kind.prefer else 0
        given |= {f"of_tenant{number}": tenant_id, f"of_client{number}": client_id}
        given |= {f"of_floor{number}": floor, f"of_most{number}": len(own)}
    which = _Which(kind.local, bool(kind.full), kind.speech > 0)
    asked = _line(session.now_ms, which, clients=len(clients))
    return _waiting(await session.execute(asked, given))


def _waiting(found: CursorResult[Any]) -> list[Waiting]:
    return [Waiting._make(row) for row in found]


def _client(job: Waiting) -> Key:
    return job.client


class _Which(NamedTuple):
    """The form of a statement: which jobs it is about."""

    local: int | None
    passes_over: bool
    speaks: bool


def _where(now_ms: ColumnElement[int], which: _Which) -> list[ColumnElement[bool]]:
    where = list(claimable(now_ms, IS_PENDING))
    if not which.speaks:
        where.append(JOBS.c.kind == Kind.CHAT.value)
    if which.local is not None:
        where.append(JOBS.c.local == which.local)
    if which.passes_over:
        where.append(or_(JOBS.c.local == 0, JOBS.c.model.not_in(bindparam("of_full", expanding=True))))
    return where


@cache
def _turns(now_ms: ColumnElement[int], which: _Which, *, prefers: bool) -> Select[Any]:
    """Made once for each form: putting it together costs more than running it."""
    where = _where(now_ms, which)
    asked = select(*_COLUMNS, _is_behind(prefers=prefers), JOBS.c.kind).where(*where)
    preferred = []
    if prefers:
        near = select(JOBS.c.turn).where(*where).order_by(JOBS.c.turn, JOBS.c.id).limit(_NEAR).subquery()
        asked = asked.where(JOBS.c.turn <= select(func.max(near.c.turn)).scalar_subquery())
        preferred.append(case((JOBS.c.model.in_(bindparam("of_models", expanding=True)), 0), else_=1))
    asked = asked.order_by(*preferred, JOBS.c.turn, JOBS.c.id).limit(bindparam("of_limit", type_=Integer))
    return asked.with_for_update(skip_locked=True)


def _is_behind(*, prefers: bool) -> ColumnElement[bool]:
    """Whether a job of the same client is more urgent, or as urgent and older with a later turn: two looks into an index."""
    other = JOBS.alias("other")
    own = (
        other.c.finished_ms.is_(None),
        other.c.lease_ms.is_(None),
        other.c.tenant_id == JOBS.c.tenant_id,
        other.c.client_id == JOBS.c.client_id,
    )
    urgent = exists().where(*own, other.c.priority > JOBS.c.priority)
    if prefers:
        return urgent
    older = (other.c.priority == JOBS.c.priority, other.c.id < JOBS.c.id, other.c.turn > JOBS.c.turn)
    return or_(urgent, exists().where(*own, *older))


@cache
def _line(now_ms: ColumnElement[int], which: _Which, *, clients: int) -> Select[Any] | CompoundSelect[Any]:
    """The lines of so many clients: a stretch of an index for each."""
    where = _where(now_ms, which)
    lines = [
        select(*_COLUMNS, literal(0).label("is_behind"), JOBS.c.kind)
        .where(*where, JOBS.c.tenant_id == bindparam(f"of_tenant{n}"), JOBS.c.client_id == bindparam(f"of_client{n}"))
        .where(JOBS.c.priority >= bindparam(f"of_floor{n}"))
        .order_by(JOBS.c.priority.desc(), JOBS.c.id)
        .limit(bindparam(f"of_most{n}", type_=Integer))
        .with_for_update(skip_locked=True)
        .subquery(f"line{n}")
        for n in range(clients)
    ]
    first, *others = (select(line) for line in lines)
    return union_all(first, *others) if others else first


def _to(key: Key, turn: int) -> dict[str, Any]:
    return {"of_tenant": key[0], "of_id": key[1], "of_turn": turn}


async def _set_aside(session: Session, jobs: Sequence[Waiting]) -> None:
    """Look at these again later: they stay pending, and whoever has their secret may take them then."""
    put_off = (
        update(JOBS)
        .where(JOBS.c.tenant_id.in_({job.tenant_id for job in jobs}), JOBS.c.id.in_([job.id for job in jobs]))
        .where(tuple_(JOBS.c.tenant_id, JOBS.c.id).in_([job.key for job in jobs]), pending_by_key())
        .values(due_ms=session.now_ms + _SET_ASIDE_MS)
    )
    await session.execute(put_off)
    structlog.get_logger().warning(
        "job_set_aside",
        jobs=[job.id for job in jobs],
        reason="they are encrypted under another JUNTO_SECRETS_KEY than this process has",
        encrypted=sorted({job.request_codec for job in jobs}),
        here=None if session.sealer is None else session.sealer.name,
    )


_MOVE: Final[Update] = (
    update(JOBS)
    .where(JOBS.c.tenant_id == bindparam("of_tenant"), JOBS.c.id == bindparam("of_id"))
    .values(turn=bindparam("of_turn", type_=BigInteger))
)
