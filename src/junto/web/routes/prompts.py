"""Prompt templates, for the administrator: shared, or of one client (`?client=`, its name or id). Every save is a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field, StrictStr

from junto.core.errors import InvalidField
from junto.ports.identity import ClientQuery
from junto.ports.prompts import SHARED, NewPrompt
from junto.prompts.template import LONGEST, label_of
from junto.web.deps import Admin, Services
from junto.web.routes.routing import Before, Expected, PageSize, Rollback, Strict, TaskType, Version

if TYPE_CHECKING:
    from junto.ports.prompts import PromptVersion
    from junto.web.services import WebServices

router = APIRouter(tags=["prompts"])

type ClientName = Annotated[str | None, Query(alias="client", min_length=1, max_length=100)]
type Number = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
type Source = Literal["api", "cli"]


class PromptBody(Strict):
    """A template as it is to be, and the version that it is meant to follow (0: none); where that is not the newest, 409."""

    body: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST)]
    source: Source = "api"
    expected_version: Version | None = None


class PromptRollback(Rollback):
    """Which version is to be in force again."""

    source: Source = "api"


@router.get("/prompts")
async def list_prompts(services: Services, _: Admin) -> dict[str, Any]:
    """Every template in force, without its text."""
    return {"prompts": [_named(one) for one in await services.prompts.all()]}


@router.get("/prompts/{task_type}")
async def show_prompt(
    task_type: TaskType, services: Services, _: Admin, name: ClientName = None, version: Number = None
) -> dict[str, Any]:
    """One template with its text: the shared one, or with `client` that client's own."""
    return _shown(await services.prompts.get(await _client_id(services, name), task_type, version))


@router.put("/prompts/{task_type}")
async def save_prompt(
    task_type: TaskType, body: PromptBody, services: Services, admin: Admin, name: ClientName = None
) -> dict[str, Any]:
    """A new version, in force from the next request on."""
    prompt = NewPrompt(
        client_id=await _client_id(services, name), task_type=task_type, body=body.body, source=body.source
    )
    return _shown(await services.prompts.save(prompt, author=admin.client, expected=body.expected_version))


@router.delete("/prompts/{task_type}")
async def delete_prompt(
    task_type: TaskType, services: Services, admin: Admin, name: ClientName = None, expected_version: Expected = None
) -> dict[str, Any]:
    """Delete a template; a client then gets the shared one. That is a version too, and can be rolled back."""
    client_id = await _client_id(services, name)
    deleted = await services.prompts.delete(
        client_id, task_type, author=admin.client, source="api", expected=expected_version
    )
    return _shown(deleted)


@router.get("/prompts/{task_type}/history")
async def prompt_history(
    task_type: TaskType,
    services: Services,
    _: Admin,
    *,
    name: ClientName = None,
    before: Before = None,
    limit: PageSize = 100,
) -> dict[str, Any]:
    """Versions without their texts, newest first; `next` is the `before` of the following page."""
    client_id = await _client_id(services, name)
    page = await services.prompts.history(client_id, task_type, before=before, limit=limit)
    return {"versions": [_named(one) for one in page], "next": page[-1].version if len(page) == limit else None}


@router.post("/prompts/{task_type}/rollback")
async def roll_back_prompt(
    task_type: TaskType, body: PromptRollback, services: Services, admin: Admin, name: ClientName = None
) -> dict[str, Any]:
    """An earlier version again, as a new one."""
    saved = await services.prompts.roll_back(
        await _client_id(services, name),
        task_type,
        body.version,
        author=admin.client,
        source=body.source,
        expected=body.expected_version,
    )
    return _shown(saved)


async def _client_id(services: WebServices, name: str | None) -> str:
    """The id of the client of that name, or of that id; raises NotFound, and InvalidField where several have the name."""
    if name is None:
        return SHARED
    named = await services.directory.clients(ClientQuery(name=name, limit=2))
    if len(named) > 1:
        raise InvalidField(f"Several clients are called {name}: say which by its id.", param="client")
    return (named[0] if named else await services.directory.get_client(name)).id


def _named(version: PromptVersion) -> dict[str, Any]:
    return {
        "task_type": version.task_type,
        "client_id": version.client_id or None,
        "version": version.version,
        "label": label_of(version.client_id, version.task_type, version.version),
        "deleted": version.deleted,
        "bytes": len(version.body.encode()),
        "source": version.source,
        "git_hash": version.git_hash or None,
        "author": version.author,
        "created_ms": version.created_ms,
    }


def _shown(version: PromptVersion) -> dict[str, Any]:
    return {**_named(version), "body": version.body}
