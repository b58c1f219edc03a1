"""Blind review, for the administrator: pairs without names, and which was which once they are scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from junto.evals.review import Judged, shown
from junto.web.deps import Admin, Services
from junto.web.routes.eval_scores import Note, Points
from junto.web.routes.routing import Strict

if TYPE_CHECKING:
    from junto.evals.review import Revealed

router = APIRouter(tags=["evidence"])


class Opinion(Strict):
    """Scores of both answers, and which is better: what the scores say, unless it is said otherwise."""

    left: Points
    right: Points
    prefer: Literal["left", "right", "tie"] | None = None
    note: Note = ""


@router.get("/eval/review")
async def review(
    services: Services,
    _: Admin,
    task_type: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> list[dict[str, Any]]:
    """Shadows that no administrator has scored, each beside the answer that its caller got, in an order that says nothing."""
    return shown(await services.evidence.review.waiting(task_type=task_type, limit=limit))


@router.post("/eval/review/{pair_id}")
async def decide(
    pair_id: Annotated[str, Path(max_length=600)], body: Opinion, services: Services, admin: Admin
) -> dict[str, Any]:
    """Score both answers and say which is better; the models are told now. Said again, it replaces what was said."""
    judged = Judged(left=body.left, right=body.right, prefer=body.prefer, note=body.note)
    reviewed = await services.evidence.review.decide(pair_id, judged, author=admin.client)
    return {
        "pair_id": pair_id,
        "preferred": reviewed.preferred,
        **{side: _revealed(one) for side, one in reviewed.sides.items()},
    }


def _revealed(one: Revealed) -> dict[str, Any]:
    return {
        "model": one.facts.model,
        "kind": one.facts.kind.value,
        "subject": {"kind": one.facts.subject.kind.value, "id": one.facts.subject.id},
        "score": one.score,
    }
