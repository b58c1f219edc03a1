"""Metrics, one resource in two forms: Prometheus' text for scrapers, open; figures as JSON for the administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from junto.core.errors import JuntoError, NotFound
from junto.ports.summaries import LONGEST_DAYS, SummaryQuery
from junto.web.accept import quality
from junto.web.deps import Services, administrator

if TYPE_CHECKING:
    from junto.web.services import WebServices

router = APIRouter(tags=["administration"])

_JSON = "application/json"
_TEXT = "text/plain"
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", response_model=None)
async def metrics(  # noqa: PLR0917  one parameter a filter
    request: Request,
    services: Services,
    days: Annotated[int, Query(ge=1, le=LONGEST_DAYS)] = 7,
    client_id: Annotated[str | None, Query(max_length=64)] = None,
    task_type: Annotated[str | None, Query(max_length=200)] = None,
    model: Annotated[str | None, Query(max_length=300)] = None,
) -> Response | dict[str, Any]:
    """Prometheus' text. JSON for the administrator, unless it would rather have text; anyone else who wants JSON is refused."""
    if not _wants_json(request, services):
        return await _text(services)
    query = SummaryQuery(days=days, client_id=client_id, task_type=task_type, model=model)
    return await services.summaries.summary(query)


@router.get("/metrics/prometheus")
async def prometheus(services: Services) -> Response:
    """The same text, whatever is accepted. Names and numbers, no content."""
    return await _text(services)


def _wants_json(request: Request, services: WebServices) -> bool:
    """Whether to answer in JSON; raises Unauthenticated or Forbidden for one who wants nothing else and is not the administrator."""
    accept = request.headers.get("accept")
    json, text = quality(accept, _JSON), quality(accept, _TEXT)
    if json < text or not json:
        return False
    try:
        administrator(request, services)
    except JuntoError:
        if json > text:
            raise
        return False
    return True


async def _text(services: WebServices) -> Response:
    if services.metrics is None:
        raise NotFound("Metrics are off (metrics.enabled).")
    return Response(await services.metrics(), media_type=_EXPOSITION)
