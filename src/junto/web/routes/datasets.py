"""Data sets for training, for the administrator: JSON lines, sent as they are made and as fast as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from junto.core.sensitivity import parse_sensitivity
from junto.evals.exporting import Export
from junto.ports.scores import LEAST_SCORE, MOST_SCORE, Via
from junto.web.deps import Admin, Services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from junto.evals.exporting import Pieces

router = APIRouter(tags=["evidence"])

GOOD_SCORE = 4.0
_MEDIA_TYPE = "application/jsonl"

type _Score = Annotated[float, Query(ge=LEAST_SCORE, le=MOST_SCORE, allow_inf_nan=False)]
type _Name = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
type _Days = Annotated[int, Query(ge=1, le=3650)]


async def _filters(  # noqa: PLR0917  one parameter a filter
    admin: Admin,
    task_type: _Name = None,
    via: Via | None = None,
    days: _Days = 30,
    sensitivity: Literal["public", "internal", "confidential"] | None = None,
    tenant: _Name = None,
    include_confidential: bool = False,  # noqa: FBT001, FBT002  a parameter of the query
    limit: Annotated[int | None, Query(ge=1, le=10_000_000)] = None,
) -> Export:
    return Export(
        task_type=task_type,
        via=via,
        days=days,
        sensitivity=None if sensitivity is None else parse_sensitivity(sensitivity),
        tenant_id=tenant,
        include_confidential=include_confidential,
        limit=limit,
        author=admin.client,
    )


type _Filters = Annotated[Export, Depends(_filters)]
_DOCUMENTED: dict[int | str, dict[str, Any]] = {200: {"content": {_MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get("/datasets/sft", response_class=StreamingResponse, responses=_DOCUMENTED)
async def sft(services: Services, filters: _Filters, min_score: _Score = GOOD_SCORE) -> StreamingResponse:
    """Conversations whose answers are scored well, on the mean: `{"messages": [...]}` a line. Of subjects of the last `days`."""
    return await _sent("sft", services.evidence.datasets.sft(_at_least(filters, min_score)))


@router.get("/datasets/preferences", response_class=StreamingResponse, responses=_DOCUMENTED)
async def preferences(services: Services, filters: _Filters, min_score: _Score | None = None) -> StreamingResponse:
    """Two answers to the same, by verdicts and by scores: `{"prompt": [...], "chosen": [...], "rejected": [...]}` a line."""
    return await _sent("preferences", services.evidence.datasets.preferences(_at_least(filters, min_score)))


def _at_least(filters: Export, min_score: float | None) -> Export:
    return msgspec.structs.replace(filters, min_score=min_score)


async def _sent(name: str, pieces: Pieces) -> StreamingResponse:
    first = await anext(pieces, b"")  # what is wrong from the beginning is an error, not the end of a file
    headers = {"content-disposition": f'attachment; filename="{name}.jsonl"', "cache-control": "no-store"}
    return StreamingResponse(_after(first, pieces), media_type=_MEDIA_TYPE, headers=headers)


async def _after(first: bytes, pieces: Pieces) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece
