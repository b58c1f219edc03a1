"""Shadows, for the administrator: what candidates answered to samples of real traffic, which no caller ever sees."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from junto.core.errors import NotFound
from junto.ports.shadows import ShadowQuery, ShadowStatus
from junto.web.deps import Admin, Services

router = APIRouter(tags=["evidence"])


@router.get("/eval/shadows")
async def list_shadows(
    services: Services,
    _: Admin,
    task_type: Annotated[str | None, Query(max_length=200)] = None,
    status: ShadowStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[str | None, Query(max_length=64)] = None,
) -> dict[str, Any]:
    """Shadows, newest first, without texts; `next` is the `before` of the following page."""
    query = ShadowQuery(
        task_type=task_type, status=None if status is None else status.value, limit=limit, before=before
    )
    page = list(await services.evidence.shadows.page(query))
    return {"shadows": page, "next": page[-1]["id"] if len(page) == limit else None}


@router.get("/eval/shadows/{shadow_id}")
async def show_shadow(shadow_id: Annotated[str, Path(max_length=100)], services: Services, _: Admin) -> dict[str, Any]:
    """One shadow with what was asked and answered, as far as it is kept."""
    found = await services.evidence.shadows.find(shadow_id)
    if found is None:
        raise NotFound(f"There is no shadow {shadow_id[:64]!r}.")
    return dict(found)
