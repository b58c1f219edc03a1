"""What a caller submits, and what it becomes: route, template, tier, model, place and price of a new job.

Decides before anything is written or contacted. Reads the runtime in force, as the gateway does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from junto.core.chat import Operation
from junto.core.errors import AllBackendsDown, InvalidField
from junto.core.sensitivity import Locality, Sensitivity, parse_sensitivity
from junto.gateway.payment import most
from junto.jobs.request import JobCaller, JobRequest, checked
from junto.ports.jobs import OnCrash
from junto.routing.facts import Traits
from junto.routing.plan import plan
from junto.routing.refusals import error_for_empty
from junto.routing.sensitivity import effective_sensitivity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.dialects.wire import Head
    from junto.gateway.runtime import Runtime
    from junto.identity.principal import Principal
    from junto.routing.facts import Plan

DEFAULT_MODEL: Final = "fast"
_USUAL_ANSWER = 512  # tokens, of a job that sets no maximum: for its share only
_SHARE = 1000  # of a client with the weight 1, for each token


class TaskRoute(msgspec.Struct, frozen=True, kw_only=True):
    """The rule for a task type, as far as jobs go by it."""

    model: str
    fallback: str = ""
    sensitivity: Sensitivity | None = None
    options: Mapping[str, Any] = {}


class TaskRoutes(Protocol):
    """The rules in force."""

    def find(self, task_type: str) -> TaskRoute | None:
        """The rule for a task type; None: the default route."""


class Template(msgspec.Struct, frozen=True):
    """The system prompt of a task, and which version of it that is."""

    text: str
    version: str


class Templates(Protocol):
    """The prompt templates in force."""

    def find(self, client_id: str, task_type: str) -> Template | None:
        """The client's own template for that task type, else the shared one."""


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


class Planner:
    """Turns submissions into prospects."""

    def __init__(self, routes: TaskRoutes, templates: Templates) -> None:
        self._routes = routes
        self._templates = templates

    def prospect(self, asked: Submission, principal: Principal, runtime: Runtime, now: float) -> Prospect:
        """Raises UnknownModel, NotServable, Forbidden or InvalidRequest for what could never run."""
        found = self._routes.find(asked.task_type)
        route = found or TaskRoute(model=DEFAULT_MODEL)
        tier = effective_sensitivity(
            default=runtime.default_sensitivity,
            principal_min=principal.min_sensitivity,
            asked_body=None if asked.sensitivity is None else parse_sensitivity(asked.sensitivity),
            route_floor=route.sensitivity,
        )
        template = self._template(asked, principal)
        model = asked.model or route.model
        request = JobRequest(
            caller=JobCaller.of(principal),
            messages=_messages(asked, template),
            options={**route.options, **asked.options},
            fallback=route.fallback,
        )
        head = checked(request.body(model))
        chosen = _plan(head, tier, principal, runtime, now)
        tokens = head.prompt_tokens + (head.max_tokens or _USUAL_ANSWER)
        return Prospect(
            model=model,
            sensitivity=tier,
            is_local=not chosen.candidates or chosen.candidates[0].locality is Locality.LOCAL,
            is_ready=bool(chosen.candidates) and not chosen.last_resort,
            default_route=found is None,
            request=request,
            prompt_version=template.version if template is not None else "",
            tokens=tokens,
            charge=max(1, tokens * _SHARE // max(principal.weight, 1)),
            reserve_nano=most(head, chosen.candidates),
        )

    def _template(self, asked: Submission, principal: Principal) -> Template | None:
        if asked.system_prompt is not None or _has_system(asked.messages):
            return None
        return self._templates.find(principal.client_id, asked.task_type)


def _plan(head: Head, tier: Sensitivity, principal: Principal, runtime: Runtime, now: float) -> Plan:
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
    chosen = plan(traits, runtime.snapshot.resolve(head.model).stages, runtime.policy, now=now, seed=0)
    if not chosen.candidates:
        error = error_for_empty(chosen, traits, head.model, now=now)
        if not isinstance(error, AllBackendsDown):
            raise error
    return chosen


def _messages(asked: Submission, template: Template | None) -> tuple[dict[str, Any], ...]:
    if (asked.prompt is None) == (asked.messages is None):
        raise InvalidField("Either prompt or messages is needed, and not both.", param="prompt")
    said = asked.messages or ({"role": "user", "content": asked.prompt},)
    system = asked.system_prompt if template is None else template.text
    return said if system is None else ({"role": "system", "content": system}, *said)


def _has_system(messages: tuple[dict[str, Any], ...] | None) -> bool:
    return any(message.get("role") in {"system", "developer"} for message in messages or ())
