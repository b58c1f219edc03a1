"""Scores of jobs, exchanges and shadows, and score links. Reads and shows; evals/scoring.py and evals/links.py decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field, StrictInt, StrictStr, StringConstraints

from junto.core.periods import instant
from junto.evals.links import DEFAULT_HOURS, MOST_HOURS
from junto.evals.scoring import Given
from junto.identity.principal import ApiScope, Principal
from junto.ports.scores import LEAST_SCORE, MOST_SCORE
from junto.ports.subjects import SubjectKind
from junto.web.deps import Admin, JobAccount, Services, account_with
from junto.web.routes.routing import Strict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.scores import SavedScore, Score
    from junto.web.services import WebServices

router = APIRouter(tags=["evidence"])

type Id = Annotated[str, Path(max_length=100)]
type Points = Annotated[StrictInt, Field(ge=LEAST_SCORE, le=MOST_SCORE)]
type Note = Annotated[StrictStr, Field(max_length=4000)]
type Dimension = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,39}$", strict=True)]
type Account = Annotated[Principal, Depends(account_with(ApiScope.INFERENCE))]


class NewScore(Strict):
    """How good an answer is, from 1 to 5: as a whole, and in what respects."""

    score: Points
    note: Note = ""
    dimensions: Annotated[dict[Dimension, Points], Field(max_length=20)] = {}

    def given(self) -> Given:
        """The score in the words of evals."""
        return Given(score=self.score, note=self.note, dimensions=self.dimensions)


class LinkedScore(NewScore):
    """The same, with the token of a score link."""

    token: Annotated[StrictStr, Field(min_length=1, max_length=200)]


class NewLink(Strict):
    """How long a link lives."""

    ttl_hours: Annotated[StrictInt, Field(ge=1, le=MOST_HOURS)] = DEFAULT_HOURS


@router.post("/eval/jobs/{subject_id}/score", status_code=201)
async def score_job(
    subject_id: Id, body: NewScore, services: Services, caller: JobAccount, response: Response
) -> dict[str, Any]:
    """Score the answer of one of the caller's jobs; 200 where that replaces the caller's earlier score."""
    return await _score(services, caller, SubjectKind.JOB, subject_id, body, response)


@router.post("/eval/exchanges/{subject_id}/score", status_code=201)
async def score_exchange(
    subject_id: Id, body: NewScore, services: Services, caller: Account, response: Response
) -> dict[str, Any]:
    """Score the answer to one of the caller's requests, by the id in X-Junto-Request-Id."""
    return await _score(services, caller, SubjectKind.EXCHANGE, subject_id, body, response)


@router.post("/eval/shadows/{subject_id}/score", status_code=201)
async def score_shadow(
    subject_id: Id, body: NewScore, services: Services, admin: Admin, response: Response
) -> dict[str, Any]:
    """Score a shadow's answer, which nobody but the administrator knows of."""
    return await _score(services, admin, SubjectKind.SHADOW, subject_id, body, response)


@router.get("/eval/jobs/{subject_id}/scores")
async def job_scores(subject_id: Id, services: Services, caller: JobAccount) -> dict[str, Any]:
    """The scores of one of the caller's jobs: its own and those by its links, and for the administrator all."""
    return _scores(await services.evidence.scoring.scores(caller, SubjectKind.JOB, subject_id))


@router.get("/eval/exchanges/{subject_id}/scores")
async def exchange_scores(subject_id: Id, services: Services, caller: Account) -> dict[str, Any]:
    """The scores of the answer to one of the caller's requests."""
    return _scores(await services.evidence.scoring.scores(caller, SubjectKind.EXCHANGE, subject_id))


@router.get("/eval/shadows/{subject_id}/scores")
async def shadow_scores(subject_id: Id, services: Services, admin: Admin) -> dict[str, Any]:
    """The scores of a shadow's answer."""
    return _scores(await services.evidence.scoring.scores(admin, SubjectKind.SHADOW, subject_id))


@router.post("/jobs/{job_id}/eval-link", status_code=201)
async def issue_link(job_id: Id, services: Services, caller: JobAccount, body: NewLink | None = None) -> dict[str, Any]:
    """A link by which one person without a key scores the job once; its token is shown here and nowhere else."""
    hours = DEFAULT_HOURS if body is None else body.ttl_hours
    issued = await services.evidence.links.issue(caller, job_id, hours=hours)
    return {
        "url": f"/jobs/{job_id}/eval",
        "token": issued.token,
        "link_id": issued.link.id,
        "expires_at": instant(issued.link.expires_ms),
        "expires_ms": issued.link.expires_ms,
    }


@router.post("/jobs/{job_id}/eval", status_code=201)
async def score_by_link(job_id: Id, body: LinkedScore, services: Services) -> dict[str, Any]:
    """Score a job by a link. Open: the token is what lets in. Says nothing of the job."""
    saved = await services.evidence.links.redeem(job_id, body.token, body.given())
    return {"job_id": job_id, "score": saved.score.score}


async def _score(  # noqa: PLR0917  what all three have
    services: WebServices, caller: Principal, kind: SubjectKind, subject_id: str, body: NewScore, response: Response
) -> dict[str, Any]:
    saved: SavedScore = await services.evidence.scoring.score(caller, kind, subject_id, body.given())
    if saved.replaced:
        response.status_code = 200
    return shown_score(saved.score)


def _scores(scores: Sequence[Score]) -> dict[str, Any]:
    return {"scores": [shown_score(score) for score in scores]}


def shown_score(score: Score) -> dict[str, Any]:
    """A score as its author and the administrator see it."""
    return {
        "id": score.id,
        "subject": {"kind": score.subject.kind.value, "id": score.subject.id},
        "task_type": score.task_type,
        "model": score.model,
        "score": score.score,
        "dimensions": dict(score.dimensions),
        "note": score.note,
        "via": score.via.value,
        "author": score.author,
        "created_ms": score.created_ms,
        "updated_ms": score.updated_ms,
    }
