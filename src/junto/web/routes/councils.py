"""Council templates, for the administrator: those that come with Junto, those of files, and stored ones over both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Body, Path
from pydantic import WithJsonSchema

from junto.council.model import document_of
from junto.council.template import MOST_MEMBERS, MOST_ROUNDS
from junto.web.deps import Admin, Services

if TYPE_CHECKING:
    from junto.council.library import Listed

router = APIRouter(tags=["councils"])

_TEXT: Final = {"type": "string"}
_SPEAKER: Final = {
    "name": _TEXT,
    "persona": _TEXT,
    "model": {**_TEXT, "description": "A model or a group; no council and no agent."},
    "sampling": {"type": "object"},
    "max_tokens": {"type": "integer", "minimum": 1},
}
_ROUND: Final = {
    "type": "object",
    "properties": {"sees": {"enum": ["own", "all", "anonymised"]}, "instruction": _TEXT},
    "additionalProperties": False,
}
# Only told, and not checked here: council/template.py finds everything that is wrong at once.
_TEMPLATE: Final = {
    "type": "object",
    "required": ["members"],
    "additionalProperties": False,
    "properties": {
        "name": _TEXT,
        "description": _TEXT,
        "members": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_MEMBERS,
            "items": {
                "type": "object",
                "required": ["name", "persona"],
                "properties": _SPEAKER,
                "additionalProperties": False,
            },
        },
        "rounds": {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_ROUNDS},
                {"type": "array", "minItems": 1, "maxItems": MOST_ROUNDS, "items": _ROUND},
            ]
        },
        "ranking": {
            "type": ["object", "null"],
            "properties": {"reviewers": {"type": "array", "items": _TEXT}, "instruction": _TEXT},
        },
        "chair": {"type": "object", "properties": {**_SPEAKER, "neutral": {"type": "boolean"}}},
        "quorum": {"type": "integer", "minimum": 1, "maximum": MOST_MEMBERS},
        "deadline_s": {"type": "number", "minimum": 1},
        "budget_usd": {"type": ["number", "null"], "minimum": 0},
        "max_tokens": {"type": "integer", "minimum": 1},
        "output": {
            "type": "object",
            "properties": {"instructions": _TEXT, "format": {"enum": ["text", "json"]}, "schema": {"type": "object"}},
        },
        "model": _TEXT,
        "below_quorum": {"enum": ["answer", "fail"]},
    },
    "examples": [
        {
            "description": "Two views of a purchase, and a judge.",
            "model": "fast",
            "members": [
                {"name": "Buyer", "persona": "You look for what it is worth."},
                {"name": "Auditor", "persona": "You look for what it costs in the end."},
            ],
            "rounds": [{"sees": "own"}, {"sees": "all"}],
            "chair": {"neutral": True},
            "quorum": 2,
        }
    ],
}

type TemplateName = Annotated[str, Path(max_length=200)]
type TemplateBody = Annotated[dict[str, Any], WithJsonSchema(_TEMPLATE), Body()]


@router.get("/admin/council/templates")
async def list_templates(services: Services, _: Admin) -> dict[str, Any]:
    """Every template in force, by name."""
    return {"templates": [_shown(one) for one in await services.councils.all()]}


@router.get("/admin/council/templates/{name}")
async def show_template(name: TemplateName, services: Services, _: Admin) -> dict[str, Any]:
    """One template, with everything that goes without saying."""
    return _shown(await services.councils.get(name))


@router.put("/admin/council/templates/{name}")
async def save_template(name: TemplateName, body: TemplateBody, services: Services, admin: Admin) -> dict[str, Any]:
    """Store a template, in force from the next request on. It goes over one that comes with Junto, or of a file, of that name."""
    return _shown(await services.councils.save(name, body, author=admin.client))


@router.delete("/admin/council/templates/{name}")
async def delete_template(name: TemplateName, services: Services, admin: Admin) -> dict[str, Any]:
    """Delete a stored template; `in_force` is what it had covered, and is there again. Others cannot be deleted: 409."""
    restored = await services.councils.delete(name, author=admin.client)
    return {"name": name, "deleted": True, "in_force": None if restored is None else _shown(restored)}


def _shown(one: Listed) -> dict[str, Any]:
    template, entry, stored = one.entry.template, one.entry, one.stored
    return {
        "name": template.name,
        "model": template.model_name,
        "source": entry.source.value,
        "covers": None if entry.covers is None else entry.covers.value,
        "author": None if stored is None else stored.author,
        "updated_ms": None if stored is None else stored.updated_ms,
        "template": document_of(template),
    }
