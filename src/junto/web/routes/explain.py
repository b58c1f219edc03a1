"""Why a request would go where it would go, and what a changed table of routes would have moved. Contacts no backend."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter
from pydantic import Field, StrictInt, StrictStr

from junto.catalog.simulation import Policy, Simulation
from junto.catalog.tasks import resolve_routed
from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.errors import InvalidField
from junto.core.near import did_you_mean
from junto.core.sensitivity import Sensitivity, parse_sensitivity
from junto.identity.keyring import spellings
from junto.ports.identity import ClientQuery, ClientRecord
from junto.routing.evidence import canary_document
from junto.routing.explain import explain
from junto.routing.facts import Traits
from junto.routing.route_table import apply, opened
from junto.routing.routes import AUTO, check_route, check_task_type
from junto.routing.sensitivity import effective_sensitivity
from junto.web.deps import Admin, Services
from junto.web.routes.routing import ModelName, RouteBody, Strict

if TYPE_CHECKING:
    from junto.catalog.model import Resolution
    from junto.routing.route_table import Routed
    from junto.web.services import WebServices

router = APIRouter(tags=["routing"])

_DAY_MS = 86_400_000
_PAGE = 500  # clients read at a time
_SLICE = 100  # recorded requests at a stretch; the event loop runs in between
_NAMES = tuple(sorted(name.lower() for name in Capability.__members__ if name != "NONE"))
_THERE_ARE = f" There are: {', '.join(_NAMES)}."


class Question(Strict):
    """A request as far as routing cares. With a `client` (its id, or its name where one client has it), that one's policy counts.

    A canary takes part by the `request_id`; without one the plan is that of everybody else.
    """

    model: ModelName = AUTO
    task_type: Annotated[StrictStr, Field(max_length=200)] = ""
    client: Annotated[StrictStr, Field(min_length=1, max_length=100)] | None = None
    sensitivity: str | None = None
    prompt_tokens: int = Field(0, ge=0)
    max_tokens: int | None = Field(None, ge=1)
    needs: list[str] = Field(default=[], max_length=10)
    operation: Operation = Operation.CHAT
    request_id: Annotated[StrictStr, Field(max_length=200)] = ""
    allow_cloud_for_internal: bool | None = None


class Trial(Strict):
    """Routes to be tried instead of those in force: null takes one out, what is not named stays as it is."""

    routes: Annotated[dict[str, RouteBody | None], Field(max_length=500)] = {}
    days: Annotated[StrictInt, Field(ge=1, le=365)] | None = None
    limit: Annotated[StrictInt, Field(ge=1, le=10_000)] = 2_000
    task_type: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None


@router.post("/routing/explain")
async def explain_route(question: Question, services: Services, _: Admin) -> Any:
    """The plan for such a request, every kept and dropped candidate with its reason."""
    runtime = services.current.runtime
    client = None if question.client is None else await services.directory.named_client(question.client)
    routed = apply(services.routes.table, question.model, question.task_type, question.request_id)
    resolution = _resolution(services, question.model, routed)
    floor = Sensitivity.PUBLIC if client is None else client.min_sensitivity
    tier = effective_sensitivity(
        default=runtime.default_sensitivity,
        principal_min=floor,
        asked_body=None if question.sensitivity is None else parse_sensitivity(question.sensitivity),
        route_floor=None if routed is None else routed.floor,
    )
    bound = None if routed is None else routed.max_tokens
    traits = Traits(
        operation=question.operation,
        needs=_needs(question.needs),
        prompt_tokens=question.prompt_tokens,
        max_tokens=min(question.max_tokens or bound, bound) if bound is not None else question.max_tokens,
        sensitivity=tier,
        allow_cloud_for_internal=_allows_cloud(question, client),
        allowed_models=_allowed(question, client, routed, resolution),
    )
    explained = explain(traits, resolution.stages, runtime.policy, now=services.clock.monotonic(), seed=0)
    return {
        **msgspec.to_builtins(explained),
        "client": None if client is None else {"id": client.id, "name": client.name, "floor": floor.label},
        "route": None if routed is None else _shown(services, routed),
    }


@router.post("/routing/simulate")
async def simulate(trial: Trial, services: Services, _: Admin) -> dict[str, Any]:
    """Recorded requests tried on the routes in force and on the changed ones: what would move, and what that would cost.

    The newest `limit` requests, of the last `days` if that is said. Metadata only; what was said is not read.
    """
    changes = {}
    for task_type, body in trial.routes.items():
        check_task_type(task_type, param=f"routes.{task_type[:100]}")
        changes[task_type] = None if body is None else check_route(body.route(task_type))
    runtime, before = services.current.runtime, services.routes.table
    policies = await _policies(services)
    since = None if trial.days is None else services.clock.wall_ms() - trial.days * _DAY_MS
    recorded = await services.traffic.recorded(since_ms=since, task_type=trial.task_type, limit=trial.limit)
    simulation = Simulation(
        runtime.snapshot,
        before,
        before.changed(changes),
        policy_of=lambda client_id: policies.get(client_id, policies[""]),
        now=services.clock.monotonic(),
    )
    for start in range(0, len(recorded), _SLICE):
        for one in recorded[start : start + _SLICE]:
            simulation.add(one)
        await asyncio.sleep(0)
    return {**simulation.result(), "bounded": len(recorded) == trial.limit}


def _resolution(services: WebServices, model: str, routed: Routed | None) -> Resolution:
    snapshot = services.current.runtime.snapshot
    if routed is None or routed.keeps_model:
        return snapshot.resolve(model)
    return resolve_routed(snapshot, routed)


def _allows_cloud(question: Question, client: ClientRecord | None) -> bool:
    if question.allow_cloud_for_internal is not None:
        return question.allow_cloud_for_internal
    return True if client is None else client.allow_cloud_for_internal


def _allowed(
    question: Question, client: ClientRecord | None, routed: Routed | None, resolution: Resolution
) -> frozenset[str] | None:
    if client is None or client.allowed_models is None:
        return None
    allowed = spellings(client.allowed_models)
    if routed is None:
        return allowed
    return opened(allowed, question.model, routed, (stage.name for stage in resolution.stages))


def _shown(services: WebServices, routed: Routed) -> dict[str, Any]:
    route = services.routes.table.find(routed.route)
    canary = None if route is None or routed.keeps_model else canary_document(route.canary)
    return {
        "name": routed.route,
        "version": routed.route_version,
        "task_type": routed.task_type,
        "is_default": routed.is_default,
        "keeps_model": routed.keeps_model,
        "floor": None if routed.floor is None else routed.floor.label,
        "max_tokens": routed.max_tokens,
        "canary": None if canary is None else {**canary, "answers": routed.is_canary},
    }


async def _policies(services: WebServices) -> dict[str, Policy]:
    """What counts of each client today; "" stands for whoever has no key."""
    opened_to_all = services.authenticator().open_client
    policies = {"": Policy(allow_cloud_for_internal=opened_to_all.allow_cloud_for_internal)}
    after: str | None = None
    while True:
        page = await services.directory.clients(ClientQuery(after=after, limit=_PAGE))
        for client in page:
            policies[client.id] = Policy(
                allow_cloud_for_internal=client.allow_cloud_for_internal,
                allowed_models=None if client.allowed_models is None else spellings(client.allowed_models),
            )
        if len(page) < _PAGE:
            return policies
        after = page[-1].id


def _needs(names: list[str]) -> Capability:
    needs = Capability.NONE
    for name in names:
        if name.lower() not in _NAMES:
            hint = did_you_mean(name.lower(), _NAMES)
            raise InvalidField(f"There is no ability {name[:50]!r}.{hint or _THERE_ARE}", param="needs")
        needs |= Capability[name.upper()]
    return needs or Capability.CHAT
