"""Why a request would go where it would go."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.sensitivity import parse_sensitivity
from junto.routing.explain import explain
from junto.routing.facts import Traits
from junto.web.deps import Admin, Services

router = APIRouter(tags=["routing"])


class Question(BaseModel):
    """A request as far as routing cares."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(max_length=300)
    sensitivity: str | None = None
    prompt_tokens: int = Field(0, ge=0)
    max_tokens: int | None = Field(None, ge=1)
    needs: list[str] = Field(default=[], max_length=10)
    operation: Operation = Operation.CHAT
    allow_cloud_for_internal: bool = True


@router.post("/routing/explain")
async def explain_route(question: Question, services: Services, _: Admin) -> Any:
    """The plan for such a request, every kept and dropped candidate with its reason. Contacts nobody."""
    runtime = services.current.runtime
    resolution = runtime.snapshot.resolve(question.model)
    default = runtime.default_sensitivity
    traits = Traits(
        operation=question.operation,
        needs=_needs(question.needs),
        prompt_tokens=question.prompt_tokens,
        max_tokens=question.max_tokens,
        sensitivity=default if question.sensitivity is None else parse_sensitivity(question.sensitivity),
        allow_cloud_for_internal=question.allow_cloud_for_internal,
    )
    explained = explain(traits, resolution.stages, runtime.policy, now=services.clock.monotonic(), seed=0)
    return msgspec.to_builtins(explained)


def _needs(names: list[str]) -> Capability:
    needs = Capability.NONE
    for name in names:
        needs |= Capability.__members__.get(name.upper(), Capability.NONE)
    return needs or Capability.CHAT
