"""Judges, for the administrator: one judgement that is waited for, runs of many, and what was judged. Reads and shows; evals/ decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, StrictBool, StrictInt, StrictStr, StringConstraints

from junto.core.errors import InvalidField
from junto.core.money import usd_from_nano
from junto.evals.cases import Named
from junto.evals.judges import MOST_SUBJECTS, Wanted
from junto.evals.jury import MOST_JUDGES, Asked
from junto.evals.rubrics import rubric_from
from junto.ports.judging import Mode
from junto.ports.subjects import SubjectKind
from junto.web.deps import Admin, Services
from junto.web.routes.routing import ModelName, Strict

if TYPE_CHECKING:
    from junto.ports.judging import Judgement, Run

router = APIRouter(tags=["evidence"])

type Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$", strict=True)]
type PathId = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
type Cursor = Annotated[str | None, Query(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
type PageSize = Annotated[int, Query(ge=1, le=500)]
type KindName = Literal["job", "exchange", "shadow"]
type TaskType = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$", strict=True)]


class SubjectBody(Strict):
    """A job, an exchange (by the id in X-Junto-Request-Id) or a shadow, with its answer."""

    kind: KindName
    id: Id

    @property
    def named(self) -> Named:
        """The same in the words of evals."""
        return Named(SubjectKind(self.kind), self.id)


class PairBody(Strict):
    """Two answers to the same."""

    first: SubjectBody
    second: SubjectBody


class RubricBody(Strict):
    """What is judged by: instructions instead of the standard scale, and dimensions with what each means."""

    instructions: Annotated[StrictStr, Field(max_length=20_000)] = ""
    dimensions: dict[str, StrictStr] | list[StrictStr] = {}


class JudgeBody(Strict):
    """What is judged (one of subject, pair and task_type), how and by whom. With `apply`, it becomes a score or a verdict."""

    mode: Literal["pointwise", "pairwise", "panel"]
    judges: Annotated[list[ModelName], Field(min_length=1, max_length=MOST_JUDGES)]
    rubric: Annotated[StrictStr, Field(max_length=20_000)] | RubricBody | None = None
    subject: SubjectBody | None = None
    pair: PairBody | None = None
    task_type: TaskType | None = None
    days: Annotated[StrictInt, Field(ge=1, le=3650)] = 30
    limit: Annotated[StrictInt, Field(ge=1, le=MOST_SUBJECTS)] = 100
    again: StrictBool = False
    quorum: Annotated[StrictInt, Field(ge=1, le=MOST_JUDGES)] | None = None
    apply: StrictBool = False
    allow_same_family: StrictBool = False
    deadline_s: Annotated[StrictInt, Field(ge=1, le=600)] = 120

    @property
    def asked(self) -> Asked:
        """How it is judged, in the words of evals; raises InvalidField."""
        rubric = self.rubric.model_dump() if isinstance(self.rubric, RubricBody) else self.rubric
        return Asked(
            mode=Mode(self.mode),
            judges=tuple(self.judges),
            rubric=rubric_from(rubric),
            quorum=self.quorum,
            apply=self.apply,
            allow_same_family=self.allow_same_family,
        )


@router.post("/eval/judge", responses={202: {"description": "A run of many, which goes on in the background."}})
async def judge(body: JudgeBody, services: Services, _: Admin, response: Response) -> dict[str, Any]:
    """One judgement, waited for; or, of a task type, a run over the shadows that were not judged and their sources (202)."""
    judges = services.evidence.judges
    if sum(each is not None for each in (body.subject, body.pair, body.task_type)) != 1:
        raise InvalidField("Say what is judged: one of subject, pair and task_type.", param="subject")
    if body.task_type is not None:
        wanted = Wanted(task_type=body.task_type, days=body.days, limit=body.limit, again=body.again)
        response.status_code = 202
        return _run(await judges.start(body.asked, wanted))
    if body.pair is not None:
        first, second = body.pair.first.named, body.pair.second.named
        return _shown(await judges.judge(body.asked, first, second, deadline_s=body.deadline_s))
    assert body.subject is not None  # noqa: S101  one of the three is there
    return _shown(await judges.judge(body.asked, body.subject.named, None, deadline_s=body.deadline_s))


@router.get("/eval/judge")
async def list_runs(services: Services, _: Admin, before: Cursor = None, limit: PageSize = 50) -> dict[str, Any]:
    """Runs, newest first; `next` is the `before` of the following page."""
    page = await services.evidence.judges.runs(before=before, limit=limit)
    return {"runs": [_run(one) for one in page], "next": page[-1].id if len(page) == limit else None}


@router.get("/eval/judge/{run_id}")
async def show_run(
    run_id: PathId, services: Services, _: Admin, after: Cursor = None, limit: PageSize = 100
) -> dict[str, Any]:
    """How far a run has got, and its judgements in order; `next` is the `after` of the following page."""
    run = await services.evidence.judges.run(run_id)
    page = await services.evidence.judges.judgements(run_id, after=after, limit=limit)
    found = [_shown(one) for one in page]
    return {**_run(run), "judgements": found, "next": page[-1].id if len(page) == limit else None}


@router.delete("/eval/judge/{run_id}")
async def cancel_run(run_id: PathId, services: Services, _: Admin) -> dict[str, Any]:
    """Cancel a run; what was judged stays. One that is at its end stays as it is."""
    return _run(await services.evidence.judges.cancel(run_id))


@router.get("/eval/judgements")
async def list_judgements(
    services: Services,
    _: Admin,
    kind: KindName,
    id: Annotated[str, Query(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")],
    limit: PageSize = 50,
) -> dict[str, Any]:
    """Judgements of a subject, alone or in a pair, newest first."""
    found = await services.evidence.judges.of(Named(SubjectKind(kind), id), limit=limit)
    return {"judgements": [_shown(one) for one in found]}


@router.get("/eval/judgements/{judgement_id}")
async def show_judgement(judgement_id: PathId, services: Services, _: Admin) -> dict[str, Any]:
    """One judgement: what each judge said, and what it cost."""
    return _shown(await services.evidence.judges.get(judgement_id))


def _shown(one: Judgement) -> dict[str, Any]:
    detail: dict[str, Any] = msgspec.json.decode(one.detail) if one.detail else {}
    other = None if one.other is None else {"kind": one.other.kind.value, "id": one.other.id}
    error = {"code": one.error_code, "message": one.error_message} if one.error_code else None
    return {
        "id": one.id,
        "run_id": one.run_id or None,
        "mode": one.mode.value,
        "status": one.status.value,
        "tenant": one.subject.tenant_id,
        "subject": {"kind": one.subject.kind.value, "id": one.subject.id},
        "other": other,
        "task_type": one.task_type or None,
        "sensitivity": one.sensitivity or None,
        "score": one.score,
        "winner": one.winner or None,
        "error": error,
        "applied": one.applied,
        **detail,
        "calls": one.calls,
        "tokens": one.tokens,
        "cost_usd": usd_from_nano(one.nano),
        "created_ms": one.created_ms,
        "finished_ms": one.finished_ms,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "status": run.status.value,
        "total": run.total,
        "done": run.done,
        "failed": run.failed,
        "cost_usd": usd_from_nano(run.nano),
        "asked": msgspec.json.decode(run.request),
        "created_ms": run.created_ms,
        "finished_ms": run.finished_ms,
    }
