"""Routes by task type, for the administrator: every save is a version, in force with the next request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from junto.routing.route_table import STANDING_MODEL
from junto.routing.routes import Route, document_of, route_from
from junto.web.deps import Admin, Services
from junto.web.routes.policies import Usd

if TYPE_CHECKING:
    from junto.catalog.route_book import SavedRoute
    from junto.ports.routes import RouteVersion

router = APIRouter(tags=["routing"])

type TaskType = Annotated[str, Path(max_length=200)]
type ModelName = Annotated[StrictStr, Field(min_length=1, max_length=300)]
type Version = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]
type Expected = Annotated[int | None, Query(ge=0, le=2**31 - 1)]
type Before = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
type PageSize = Annotated[int, Query(ge=1, le=500)]
type Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
type Penalty = Annotated[Number, Field(ge=-2, le=2)]
type Share = Annotated[Number, Field(ge=0, le=1)]


class Strict(BaseModel):
    """A body in which every field is known."""

    model_config = ConfigDict(extra="forbid")


class Sampling(Strict):
    """Defaults for what a request leaves out."""

    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Annotated[StrictInt, Field(ge=0, le=1_000_000)] | None = None
    min_p: Share | None = None
    seed: Annotated[StrictInt, Field(ge=0, le=2**63 - 1)] | None = None
    stop: Annotated[list[Annotated[StrictStr, Field(min_length=1, max_length=200)]], Field(max_length=16)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None


class Shadow(Strict):
    """A model that answers a share of the requests beside the one that is meant to; its answer is never returned."""

    model: ModelName
    rate: Annotated[Number, Field(gt=0, le=1)]
    daily_cost_cap_usd: Usd | None = None


class Gate(Strict):
    """What a candidate must clear before it is proposed; what is left out is as usual (docs/evidence-statistics.md)."""

    min_scores: Annotated[StrictInt, Field(ge=5, le=1_000_000)] | None = None
    confidence: Annotated[Number, Field(ge=0.5, le=0.9999)] | None = None
    quality_margin: Annotated[Number, Field(ge=-4, le=4)] | None = None
    min_saving: Annotated[Number, Field(ge=-100, le=1)] | None = None
    max_failure_excess: Share | None = None
    auto: Literal["off", "canary", "promote"] | None = None
    canary_share: Annotated[Number, Field(gt=0, le=1)] | None = None


class CanaryBody(Strict):
    """A model that answers a share of the requests in place of the preferred one."""

    model: ModelName
    share: Annotated[Number, Field(gt=0, le=1)]


class RouteBody(Strict):
    """A route as it is to be, whole: what is left out is not kept from before."""

    preferred_model: ModelName
    fallback_model: ModelName | None = None
    sensitivity: Literal["public", "internal", "confidential"]
    max_tokens: Annotated[StrictInt, Field(ge=1, le=100_000_000)] | None = None
    sampling: Sampling | None = None
    shadow_models: Annotated[list[Shadow], Field(max_length=16)] = []
    evidence: Gate | None = None
    canary: CanaryBody | None = None
    notes: Annotated[StrictStr, Field(max_length=2000)] = ""

    def route(self, task_type: str) -> Route:
        """The route that the body says."""
        return route_from(task_type, self.model_dump(include=set(RouteBody.model_fields)))


class SavedBody(RouteBody):
    """The same, and the version that it is meant to follow (0: none); where that is not the newest one, 409."""

    expected_version: Version | None = None


class Rollback(Strict):
    """Which version is to be in force again."""

    version: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]
    expected_version: Version | None = None


@router.get("/routing")
async def list_routes(services: Services, _: Admin) -> dict[str, Any]:
    """All routes in force. `default_model` serves task types without a route where no route is called `default`."""
    routes = await services.route_book.all()
    shown = [{"task_type": one.task_type, "version": one.version, **document_of(one)} for one in routes]
    return {"routes": shown, "default_model": STANDING_MODEL}


@router.get("/routing/{task_type}")
async def show_route(task_type: TaskType, services: Services, _: Admin) -> dict[str, Any]:
    """The route of one task type."""
    return shown(await services.route_book.get(task_type))


@router.put("/routing/{task_type}")
async def save_route(task_type: TaskType, body: SavedBody, services: Services, admin: Admin) -> dict[str, Any]:
    """A new version. Models that nothing has now are accepted: `warnings` in the answer tells of them."""
    saved = await services.route_book.save(body.route(task_type), author=admin.client, expected=body.expected_version)
    return _saved(saved)


@router.delete("/routing/{task_type}")
async def delete_route(
    task_type: TaskType, services: Services, admin: Admin, expected_version: Expected = None
) -> dict[str, Any]:
    """Delete a route; that is a version too, and can be rolled back."""
    return shown(await services.route_book.delete(task_type, author=admin.client, expected=expected_version))


@router.get("/routing/{task_type}/history")
async def route_history(
    task_type: TaskType, services: Services, _: Admin, before: Before = None, limit: PageSize = 100
) -> dict[str, Any]:
    """Versions, newest first; `next` is the `before` of the following page."""
    page = await services.route_book.history(task_type, before=before, limit=limit)
    return {"versions": [shown(one) for one in page], "next": page[-1].version if len(page) == limit else None}


@router.post("/routing/{task_type}/rollback")
async def roll_back_route(task_type: TaskType, body: Rollback, services: Services, admin: Admin) -> dict[str, Any]:
    """An earlier version again, as a new one."""
    saved = await services.route_book.roll_back(
        task_type, body.version, author=admin.client, expected=body.expected_version
    )
    return _saved(saved)


def shown(version: RouteVersion) -> dict[str, Any]:
    """A version as it is shown."""
    return {
        "task_type": version.task_type,
        "version": version.version,
        **({} if version.route is None else document_of(version.route)),
        "deleted": version.route is None,
        "author": version.author,
        "created_ms": version.created_ms,
    }


def _saved(saved: SavedRoute) -> dict[str, Any]:
    return {**shown(saved.saved), "warnings": saved.warnings}
