"""What a caller submits, and what it becomes: route, template, tier, model, place and price of a new job.

Decides before anything is written or contacted. Reads the runtime in force, as the gateway does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.catalog.tasks import resolve_routed
from junto.core.chat import Operation
from junto.core.errors import AllBackendsDown, InvalidField
from junto.core.sensitivity import Locality, Sensitivity, parse_sensitivity
from junto.dialects.openai.requests import render_sampling
from junto.gateway.payment import most
from junto.gateway.personas import PREFIX, floor_of, persona_of, resolve_persona
from junto.jobs.request import JobCaller, JobRequest, checked
from junto.ports.jobs import Kind, OnCrash
from junto.routing.facts import Traits
from junto.routing.plan import plan
from junto.routing.refusals import error_for_empty
from junto.routing.route_table import apply, opened
from junto.routing.routes import AUTO
from junto.routing.sensitivity import effective_sensitivity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.catalog.resolve import Snapshot
    from junto.dialects.wire import Head
    from junto.gateway.personas import Persona, Personas
    from junto.gateway.runtime import Runtime
    from junto.identity.principal import Principal
    from junto.prompts.shelf import PromptShelf
    from junto.prompts.template import Prompt
    from junto.routing.facts import DeploymentFacts, Plan, Stage
    from junto.routing.route_table import Routed, RouteTable

_USUAL_ANSWER = 512  # tokens, of a job that sets no maximum: for its share only
_RESTING = frozenset({"backend_up", "breaker"})  # the filters that a deployment passes again by itself
_SHARE = 1000  # of a client with the weight 1, for each token


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for. Either `prompt` or `messages` is set; `options` as in JobRequest.

    `is_async` never waits; `wait_s` None is the usual: wait for the cloud, not for local hardware.
    """

    task_type: str
    prompt: str | None = None
    messages: tuple[dict[str, Any], ...] | None = None
    system_prompt: str | None = None
    sensitivity: str | None = None
    priority: int = 5
    model: str | None = None
    options: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    is_async: bool = False
    wait_s: float | None = None
    deadline_s: float | None = None
    webhook: str | None = None
    on_crash: OnCrash = OnCrash.RETRY
    max_attempts: int = 3
    idempotency_key: str | None = None
    digest: str = ""


class Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """A submission with everything decided: what is written down of it. `tokens` is an estimate of what it will use.

    `is_local`: it waits for local hardware.
    """

    model: str
    sensitivity: Sensitivity
    is_local: bool
    is_ready: bool  # something that may see it is in service
    default_route: bool
    request: JobRequest
    prompt_version: str
    tokens: int
    charge: int
    reserve_nano: int
    kind: Kind = Kind.CHAT
    steps: int = 0  # that it is told to be done in


def charge_of(tokens: int, principal: Principal) -> int:
    """What a job of so many tokens adds to its client's virtual time."""
    return max(1, tokens * _SHARE // max(principal.weight, 1))


class Planner:
    """Turns submissions into prospects."""

    def __init__(
        self, routes: Callable[[], RouteTable], templates: PromptShelf, personas: Personas | None = None
    ) -> None:
        self._routes = routes
        self._templates = templates
        self._personas = personas

    def prospect(
        self, asked: Submission, principal: Principal, runtime: Runtime, now: float, job_id: str = ""
    ) -> Prospect:
        """Raises UnknownModel, NotServable, Forbidden or InvalidRequest for what could never run; a canary goes by the id."""
        routed = apply(self._routes(), asked.model or AUTO, asked.task_type, job_id)
        if routed is None:  # a task type names one
            raise InvalidField("A job has a task type.", param="task_type")
        persona = self._persona(asked, principal)
        tier = effective_sensitivity(
            default=runtime.default_sensitivity,
            principal_min=principal.min_sensitivity,
            asked_body=None if asked.sensitivity is None else parse_sensitivity(asked.sensitivity),
            route_floor=floor_of(routed, persona),
        )
        stages, allowed = _opened_stages(asked, routed, persona, principal, runtime.snapshot)
        principal = msgspec.structs.replace(principal, allowed_models=allowed)
        template = self._template(asked, principal)
        request = JobRequest(
            caller=JobCaller.of(principal),
            model=routed.model,
            messages=_messages(asked, template),
            options=_options(routed, asked),
            fallback=routed.fallback or "",
        )
        head = checked(request.body(routed.model))
        chosen = _plan(head, tier, principal, runtime, stages, now)
        tokens = head.prompt_tokens + (head.max_tokens or _USUAL_ANSWER)
        return Prospect(
            model=routed.model,
            sensitivity=tier,
            is_local=not chosen.candidates or chosen.candidates[0].locality is Locality.LOCAL,
            is_ready=bool(chosen.candidates) and not chosen.last_resort,
            default_route=routed.is_default,
            request=request,
            prompt_version=template.recorded if template is not None else "",
            tokens=tokens,
            charge=charge_of(tokens, principal),
            reserve_nano=_most(head, _may_answer(chosen)),
        )

    def _persona(self, asked: Submission, principal: Principal) -> Persona | None:
        """The agent that the caller named; raises UnknownModel where it is none of its tenant's."""
        if self._personas is None or asked.model is None or not asked.model.startswith(PREFIX):
            return None
        return persona_of(self._personas, principal, asked.model)

    def _template(self, asked: Submission, principal: Principal) -> Prompt | None:
        if asked.system_prompt is not None or _has_system(asked.messages):
            return None
        return self._templates.find(principal.client_id, asked.task_type)


def _opened_stages(
    asked: Submission, routed: Routed, persona: Persona | None, principal: Principal, snapshot: Snapshot
) -> tuple[Sequence[Stage], frozenset[str] | None]:
    """Where the job may be answered, and the caller's list of models with what its name opens."""
    allowed = principal.allowed_models
    if persona is not None:
        resolution, allowed = resolve_persona(persona, routed.model, snapshot, allowed)
        return resolution.stages, allowed
    stages = resolve_routed(snapshot, routed).stages
    if allowed is not None:
        allowed = opened(allowed, asked.model or AUTO, routed, (stage.name for stage in stages))
    return stages, allowed


def _options(routed: Routed, asked: Submission) -> dict[str, Any]:
    """What the caller set, and the route's own where it did not; the route's most tokens are a bound."""
    options = {} if routed.sampling is None else {**render_sampling(routed.sampling)}
    options |= asked.options
    if routed.max_tokens is not None:
        options["max_tokens"] = min(routed.max_tokens, options.get("max_tokens", routed.max_tokens))
    return options


def _plan(  # noqa: PLR0917  the facts of a plan
    head: Head, tier: Sensitivity, principal: Principal, runtime: Runtime, stages: Sequence[Stage], now: float
) -> Plan:
    """Where the job could go now; an empty plan where everything that may see it is away, which the job waits for."""
    traits = Traits(
        operation=Operation.CHAT,
        needs=head.needs,
        prompt_tokens=head.prompt_tokens,
        max_tokens=head.max_tokens,
        stream=True,
        sensitivity=tier,
        allow_cloud_for_internal=principal.allow_cloud_for_internal,
        allowed_models=principal.allowed_models,
    )
    chosen = plan(traits, stages, runtime.policy, now=now, seed=0)
    if not chosen.candidates:
        error = error_for_empty(chosen, traits, head.model, now=now)
        if not isinstance(error, AllBackendsDown):
            raise error
    return chosen


def _may_answer(chosen: Plan) -> Sequence[DeploymentFacts]:
    """Where the job may end up: what is out of service now may be back when its turn comes, and is paid as well."""
    return [*chosen.candidates, *(each.deployment for each in chosen.dropped if each.reason.rule in _RESTING)]


def _most(head: Head, candidates: Sequence[DeploymentFacts]) -> int:
    """What the job may cost at most. A council asks the job's budgets for the rest when it knows its members."""
    nano = most(head, candidates)
    return nano or int(any(each.is_composed for each in candidates))


def _messages(asked: Submission, template: Prompt | None) -> tuple[dict[str, Any], ...]:
    if (asked.prompt is None) == (asked.messages is None):
        raise InvalidField("Either prompt or messages is needed, and not both.", param="prompt")
    said = asked.messages or ({"role": "user", "content": asked.prompt},)
    system = asked.system_prompt if template is None else template.body
    return said if system is None else ({"role": "system", "content": system}, *said)


def _has_system(messages: tuple[dict[str, Any], ...] | None) -> bool:
    return any(message.get("role") in {"system", "developer"} for message in messages or ())
