"""Jobs: submitted, read, followed and cancelled by their callers. Reads and shows; jobs/service.py decides."""

from __future__ import annotations

import hashlib
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from junto.core.errors import InvalidField
from junto.core.near import did_you_mean
from junto.core.sensitivity import parse_sensitivity
from junto.jobs.submission import Submission
from junto.jobs.views import error_of, shown
from junto.ports.jobs import Job, JobQuery, OnCrash, Status
from junto.routing.routes import check_task_type
from junto.web.deps import JobAccount, JobCaller, Services

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    from junto.identity.principal import Principal
    from junto.jobs.following import Happening
    from junto.web.services import WebServices

router = APIRouter(tags=["jobs"])

_MOST_METADATA = 16 * 1024
_DEEPEST = 64
_LONGEST_KEY = 255
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?")
_LONGEST_WAIT = 600

type JobId = Annotated[str, Path(max_length=100)]
type Words = Annotated[StrictStr, Field(max_length=8 * 1024 * 1024)]
type Object = dict[str, Any]


class NewJob(BaseModel):
    """A job to be done: a task type, and a prompt or messages."""

    model_config = ConfigDict(extra="forbid")

    task_type: Annotated[StrictStr, Field(min_length=1, max_length=100)]
    prompt: Words | None = None
    messages: Annotated[list[Object], Field(min_length=1, max_length=10_000)] | None = None
    system_prompt: Words | None = None
    sensitivity: Annotated[StrictStr, Field(max_length=100)] | None = None
    priority: Annotated[StrictInt, Field(ge=1, le=10)] = 5
    model: Annotated[StrictStr, Field(min_length=1, max_length=300)] | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1, le=10_000_000)] | None = None
    tools: Annotated[list[Object], Field(max_length=512)] | None = None
    tool_choice: StrictStr | Object | None = None
    parallel_tool_calls: StrictBool | None = None
    response_format: Object | None = None
    reasoning_effort: Annotated[StrictStr, Field(max_length=20)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: StrictInt | None = None
    stop: StrictStr | Annotated[list[StrictStr], Field(max_length=16)] | None = None
    metadata: Object = {}
    async_: Annotated[StrictBool, Field(alias="async")] = False
    wait_s: Annotated[float, Field(ge=0, le=_LONGEST_WAIT)] | None = None
    deadline_s: Annotated[float, Field(gt=0, le=30 * 24 * 3600)] | None = None
    webhook: Annotated[StrictStr, Field(max_length=2048)] | None = None
    on_crash: Literal["retry", "fail"] = "retry"
    max_attempts: Annotated[StrictInt, Field(ge=1, le=10)] = 3
    tenant_id: Annotated[StrictStr, Field(min_length=1, max_length=100)] | None = None

    def submission(self, *, key: str | None, wait: int | None, tiers: Sequence[str] = ()) -> Submission:
        """The body and its headers in the jobs' own words; `tiers` are what headers ask for. Raises InvalidField."""
        _check_depth(self)
        tier = self._asked(tiers)
        fields = self.model_dump(by_alias=True, exclude_unset=True)
        if tier is not None:
            fields["sensitivity"] = tier
        try:
            digest = hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()
        except (ValueError, OverflowError) as error:  # lone surrogates, integers beyond 64 bits
            raise InvalidField("The body has text or numbers that are no JSON values of ours.") from error
        if len(msgspec.json.encode(self.metadata)) > _MOST_METADATA:
            raise InvalidField("metadata has 16 kB at most, as JSON.", param="metadata")
        return Submission(
            task_type=check_task_type(self.task_type),
            prompt=self.prompt,
            messages=None if self.messages is None else tuple(self.messages),
            system_prompt=self.system_prompt,
            sensitivity=tier,
            priority=self.priority,
            model=self.model,
            options={name: fields[name] for name in _OPTIONS if fields.get(name) is not None},
            metadata=self.metadata,
            is_async=self.async_,
            wait_s=wait if self.wait_s is None else self.wait_s,
            deadline_s=self.deadline_s,
            webhook=self.webhook,
            on_crash=OnCrash(self.on_crash),
            max_attempts=self.max_attempts,
            idempotency_key=key,
            digest=digest,
        )

    def _asked(self, tiers: Sequence[str]) -> str | None:
        """The strictest tier that the request asks for, by whatever name it does."""
        said = [parse_sensitivity(tier.strip(), param="X-Junto-Sensitivity") for tier in tiers]
        if self.sensitivity is not None:
            said.append(parse_sensitivity(self.sensitivity))
        if "sensitivity" in self.metadata:
            said.append(parse_sensitivity(self.metadata["sensitivity"], param="metadata.sensitivity"))
        return max(said).label if said else None


_OPTIONS = (
    "max_tokens",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "temperature",
    "top_p",
    "seed",
    "stop",
)


@router.post("/jobs")
async def submit_job(  # noqa: PLR0917  one parameter a header
    body: NewJob,
    services: Services,
    caller: JobCaller,
    idempotency_key: Annotated[str | None, Header(max_length=_LONGEST_KEY, min_length=1)] = None,
    prefer: Annotated[str | None, Header(max_length=1000)] = None,
    x_junto_sensitivity: Annotated[list[str] | None, Header()] = None,
) -> Response:
    """Do it now where a cloud model does it (200), or accept it for later (202): it is not lost from here on."""
    found = _WAIT.search(prefer or "")
    wait = min(int(found[1]), _LONGEST_WAIT) if found else None
    submission = body.submission(key=idempotency_key, wait=wait, tiers=x_junto_sensitivity or ())
    accepted = await services.jobs.submit(_acting(services, caller, body), submission)
    limits = {name.decode(): value.decode() for name, value in accepted.limits}
    return _answer(accepted.job, await _view(services, accepted.job), limits)


def _acting(services: WebServices, caller: Principal, body: NewJob) -> Principal:
    """Who submits: the caller, or (with the scope `service`) the caller for the tenant that the body names; raises Forbidden.

    What would have to be written in two tenants at once is refused: a budget of the client's own, and a webhook, whose key is
    that of the client in its own tenant.
    """
    acting = services.authenticator().acting_for(caller, body.tenant_id)
    if acting.tenant == caller.tenant:
        return acting
    if any(budget.scope != "tenant" for budget in acting.budgets):
        raise InvalidField(
            "A client or key with a budget of its own submits jobs for its own tenant only.", param="tenant_id"
        )
    if body.webhook is not None:
        raise InvalidField("A job for another tenant has no webhook: follow it, or poll.", param="webhook")
    return acting


_FILTERS = ("status", "task_type", "before", "limit")


async def known_filters(request: Request, _: JobAccount) -> None:
    """Refuse a filter that there is none of: whoever misspells one would be shown all jobs for some. Strangers learn nothing."""
    for name in request.query_params:
        if name not in _FILTERS:
            hint = did_you_mean(name, _FILTERS) or f" There are: {', '.join(_FILTERS)}."
            raise InvalidField(f"There is no filter {name[:100]!r}.{hint}", param=name[:100])


@router.get("/jobs", dependencies=[Depends(known_filters)])
async def list_jobs(  # noqa: PLR0917  one parameter a filter
    services: Services,
    caller: JobAccount,
    status: Status | None = None,
    task_type: Annotated[str | None, Query(max_length=100)] = None,
    before: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """The caller's own jobs, newest first, without their answers; `next` is the `before` of the following page."""
    query = JobQuery(tenant_id=None, client_id=None, status=status, task_type=task_type, before=before, limit=limit)
    page = await services.jobs.page(caller, query)
    return {"jobs": [shown(job, whole=False) for job in page], "next": page[-1].id if len(page) == limit else None}


@router.get("/jobs/{job_id}")
async def show_job(job_id: JobId, services: Services, caller: JobAccount) -> dict[str, Any]:
    """One of the caller's jobs as it stands: its answer or error, its attempts, its webhooks."""
    job = await services.jobs.get(caller, job_id)
    deliveries = await services.webhooks.deliveries(job.tenant_id, job.id) if job.webhook else ()
    return shown(
        job, attempts=await services.jobs.attempts(job), deliveries=deliveries, place=await services.jobs.place(job)
    )


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
async def follow_job(job_id: JobId, services: Services, caller: JobAccount) -> StreamingResponse:
    """What happens to the job, as server-sent events: status, progress, text as it grows, and the end as the last."""
    job = await services.jobs.get(caller, job_id)
    happenings = services.follower.follow(job, watcher=caller.client_id or caller.client)
    first = await anext(happenings, None)  # it is refused before anything is sent
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(_events(first, happenings), media_type="text/event-stream", headers=headers)


@router.delete("/jobs/{job_id}")
async def cancel_job(job_id: JobId, services: Services, caller: JobAccount, *, force: bool = False) -> Response:
    """Cancel it: at once while it is pending; while it runs only with `force`, which cancels its upstream call."""
    job = await services.jobs.cancel(caller, job_id, force=force)
    return _answer(job, shown(job))


async def _view(services: Services, job: Job) -> dict[str, Any]:
    return shown(job, place=await services.jobs.place(job))


def _answer(job: Job, view: dict[str, Any], limits: Mapping[str, str] | None = None) -> Response:
    """200 for what is over, 202 for what is not, and the error's own status for what has failed."""
    status = 200 if job.status.is_end else 202
    headers = {**(limits or {}), **({} if job.status.is_end else {"location": f"/jobs/{job.id}"})}
    if job.status is Status.FAILED:
        status = error_of(job).status
    return Response(msgspec.json.encode(view), status_code=status, headers=headers, media_type="application/json")


async def _events(first: Happening | None, happenings: AsyncGenerator[Happening]) -> AsyncIterator[bytes]:
    async with aclosing(happenings):
        if first is not None:
            yield _event(*first)
        async for happening in happenings:
            yield _event(*happening)


def _event(name: str, data: dict[str, Any]) -> bytes:
    if name == "beat":
        return b": nothing new\n\n"
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


def _check_depth(job: NewJob) -> None:
    """Refuse what is nested without end: nothing after this has to be afraid of it."""
    for name in ("messages", "tools", "tool_choice", "response_format", "metadata"):
        if _is_deep(getattr(job, name)):
            raise InvalidField(f"{name} is nested more than {_DEEPEST} deep.", param=name)


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
