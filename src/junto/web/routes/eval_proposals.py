"""Proposals to change a route, for the administrator: the evidence, accepting and rejecting. Reads and shows; evals/ decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field, StrictStr

from junto.ports.proposals import ProposalStatus
from junto.web.deps import Admin, Services
from junto.web.routes.routing import Number, Strict

if TYPE_CHECKING:
    from junto.evals.proposals import Weighed
    from junto.ports.proposals import Proposal

router = APIRouter(tags=["evidence"])

type Id = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
type Cursor = Annotated[str | None, Query(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
type PageSize = Annotated[int, Query(ge=1, le=200)]
type TaskQuery = Annotated[str | None, Query(min_length=1, max_length=100)]
type StatusName = Literal["open", "canary", "accepted", "rejected", "superseded", "stopped"]


class Acceptance(Strict):
    """With a share, the candidate answers that share of the requests first; without one it takes the route over."""

    canary_share: Annotated[Number, Field(gt=0, le=1)] | None = None


class Rejection(Strict):
    """Why, for people."""

    reason: Annotated[StrictStr, Field(max_length=1000, pattern=r"^[^\x00]*$")] = ""


@router.get("/eval/proposals")
async def list_proposals(
    services: Services,
    _: Admin,
    task_type: TaskQuery = None,
    status: StatusName | None = None,
    before: Cursor = None,
    limit: PageSize = 50,
) -> dict[str, Any]:
    """Proposals with their evidence, newest first; `next` is the `before` of the following page."""
    wanted = None if status is None else ProposalStatus(status)
    page = await services.evidence.proposals.page(task_type=task_type, status=wanted, before=before, limit=limit)
    return {"proposals": [shown(one) for one in page], "next": page[-1].id if len(page) == limit else None}


@router.get("/eval/candidates")
async def list_candidates(services: Services, _: Admin, task_type: TaskQuery = None) -> dict[str, Any]:
    """What the gate of each route says of its candidates now: every condition, and what is missing."""
    found = await services.evidence.proposals.candidates(task_type)
    return {"candidates": [_weighed(one) for one in found]}


@router.get("/eval/proposals/{proposal_id}")
async def show_proposal(proposal_id: Id, services: Services, _: Admin) -> dict[str, Any]:
    """One proposal."""
    return shown(await services.evidence.proposals.get(proposal_id))


@router.post("/eval/proposals/{proposal_id}/accept")
async def accept_proposal(
    proposal_id: Id, services: Services, admin: Admin, body: Acceptance | None = None
) -> dict[str, Any]:
    """A new version of the route, in force with the next request; 409 where the route was changed since."""
    share = None if body is None else body.canary_share
    return shown(await services.evidence.proposals.accept(proposal_id, author=admin.client, canary_share=share))


@router.post("/eval/proposals/{proposal_id}/reject")
async def reject_proposal(
    proposal_id: Id, services: Services, admin: Admin, body: Rejection | None = None
) -> dict[str, Any]:
    """Turn it down; a canary of it ends. That candidate begins anew, with what is known from now on."""
    reason = "" if body is None else body.reason
    return shown(await services.evidence.proposals.reject(proposal_id, author=admin.client, reason=reason))


def shown(proposal: Proposal) -> dict[str, Any]:
    """A proposal as it is shown."""
    return {
        "id": proposal.id,
        "task_type": proposal.trio.task_type,
        "incumbent": proposal.trio.incumbent,
        "candidate": proposal.trio.candidate,
        "route_version": proposal.route_version,
        "new_version": proposal.new_version or None,
        "status": proposal.status.value,
        "reason": proposal.reason,
        "decided_by": proposal.decided_by,
        "created_ms": proposal.created_ms,
        "updated_ms": proposal.updated_ms,
        "decided_ms": proposal.decided_ms,
        "evidence": proposal.evidence,
    }


def _weighed(weighed: Weighed) -> dict[str, Any]:
    return {
        "task_type": weighed.trio.task_type,
        "incumbent": weighed.trio.incumbent,
        "candidate": weighed.trio.candidate,
        "route_version": weighed.route_version,
        **weighed.document,
    }
