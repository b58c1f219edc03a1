"""Who may enter each route: one row a route. test_isolation_matrix.py holds every route to its row, and fails without one.

A new route needs one row: `OPEN`, `ADMIN`, `caller(SCOPE)` for what any client may do, `account(SCOPE, thing=...)` for what
belongs to one client, where `thing` makes such a thing for a holder of a key and gives the path's parameters that name it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from junto.identity.principal import ApiScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.flow.running import RunningJunto

type Route = tuple[str, str]
type Maker = Callable[[RunningJunto, Holder], Mapping[str, str]]

_PARAMETERS = {
    "model_id": "gpt-test",
    "digest": "sha256:1",
    "name": "home.css",
}  # any other names nothing that there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A client with its key."""

    client_id: str
    tenant: str
    key: str


class Who(StrEnum):
    """Who may enter."""

    ANYONE = "anyone"
    CALLER = "caller"  # a client with the scope, or the administrator
    ACCOUNT = "account"  # the same, each for what is its own; the administrator for everyone's
    ADMIN = "admin"
    VISITOR = "visitor"  # whoever has a session of the web chat, or a score link, which no key is
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The row of a route. `scope` is what a client's key needs; `thing` makes what the path names."""

    who: Who
    scope: ApiScope = ApiScope.INFERENCE
    thing: Maker | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


OPEN = Door(who=Who.ANYONE)
ADMIN = Door(who=Who.ADMIN)
VISITOR = Door(who=Who.VISITOR)
NOBODY = Door(who=Who.NOBODY)


def caller(scope: ApiScope, **more: Any) -> Door:
    """For every client whose key has the scope."""
    return Door(who=Who.CALLER, scope=scope, **more)


def account(scope: ApiScope, **more: Any) -> Door:
    """For the client whose it is, and the administrator."""
    return Door(who=Who.ACCOUNT, scope=scope, **more)


INFERENCE = caller(ApiScope.INFERENCE)


def a_job(junto: RunningJunto, holder: Holder) -> Mapping[str, str]:
    """A job of that holder's, at its end."""
    body = {"task_type": "bio", "prompt": "Who?", "model": "gpt-test", "sensitivity": "public"}
    made = junto.http.post("/jobs", json=body, headers={"authorization": f"Bearer {holder.key}"}).raise_for_status()
    return {"job_id": made.json()["job_id"]}


JOB = account(ApiScope.JOBS, thing=a_job)


def a_file(junto: RunningJunto, holder: Holder) -> Mapping[str, str]:
    """An audio file of that holder's."""
    body = {"text": "Yes.", "wait_s": 60}
    made = junto.http.post("/tts", json=body, headers={"authorization": f"Bearer {holder.key}"}, timeout=70)
    return {"file": made.raise_for_status().json()["response"].removeprefix("/output/")}


OUTPUT = account(ApiScope.JOBS, thing=a_file)


def a_subject(make: Maker, name: str) -> Maker:
    """The same thing under the name that it has where it is scored."""

    def made(junto: RunningJunto, holder: Holder) -> Mapping[str, str]:
        return {"subject_id": make(junto, holder)[name]}

    return made


def an_exchange(junto: RunningJunto, holder: Holder) -> Mapping[str, str]:
    """A request of that holder's, answered and stored."""
    headers = {"authorization": f"Bearer {holder.key}", "x-junto-sensitivity": "public"}
    body = {"model": "gpt-test", "messages": [{"role": "user", "content": "Who?"}]}
    answer = junto.http.post("/v1/chat/completions", json=body, headers=headers).raise_for_status()
    exchange_id = answer.headers["x-junto-request-id"]
    deadline = time.monotonic() + 10
    while junto.http.get(f"/admin/responses/{exchange_id}", headers=junto.admin).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return {"exchange_id": exchange_id}


_SCORE = {"score": 4}
SCORED_JOB = account(ApiScope.JOBS, thing=a_subject(a_job, "job_id"), body=_SCORE)
SCORED_EXCHANGE = account(ApiScope.INFERENCE, thing=a_subject(an_exchange, "exchange_id"), body=_SCORE)

DOORS: dict[Route, Door] = {
    ("GET", "/"): OPEN,
    ("HEAD", "/"): OPEN,
    ("GET", "/assets/{name}"): OPEN,
    ("GET", "/health"): OPEN,
    ("GET", "/health/live"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/metrics/prometheus"): OPEN,
    ("GET", "/api/version"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("HEAD", "/openapi.json"): OPEN,
    ("GET", "/v1/models"): INFERENCE,
    ("GET", "/v1/models/{model_id}"): INFERENCE,
    ("POST", "/v1/chat/completions"): INFERENCE,
    ("POST", "/v1/completions"): INFERENCE,
    ("POST", "/v1/council/chat"): INFERENCE,
    ("POST", "/v1/embeddings"): INFERENCE,
    ("POST", "/v1/messages"): INFERENCE,
    ("POST", "/v1/messages/count_tokens"): INFERENCE,
    ("GET", "/api/tags"): INFERENCE,
    ("GET", "/api/ps"): INFERENCE,
    ("POST", "/api/show"): INFERENCE,
    ("POST", "/api/chat"): INFERENCE,
    ("POST", "/api/generate"): INFERENCE,
    ("POST", "/api/embed"): INFERENCE,
    ("POST", "/api/embeddings"): INFERENCE,
    ("POST", "/complete"): INFERENCE,
    ("POST", "/complete/stream"): INFERENCE,
    ("GET", "/admin/backends"): ADMIN,
    ("POST", "/admin/reload"): ADMIN,
    ("GET", "/admin/responses"): ADMIN,
    ("GET", "/admin/responses/stats"): ADMIN,
    ("GET", "/admin/responses/{exchange_id}"): ADMIN,
    ("POST", "/routing/explain"): ADMIN,
    ("POST", "/routing/simulate"): ADMIN,
    ("GET", "/routing"): ADMIN,
    ("GET", "/routing/{task_type}"): ADMIN,
    ("PUT", "/routing/{task_type}"): ADMIN,
    ("DELETE", "/routing/{task_type}"): ADMIN,
    ("GET", "/routing/{task_type}/history"): ADMIN,
    ("POST", "/routing/{task_type}/rollback"): ADMIN,
    ("GET", "/prompts"): ADMIN,
    ("GET", "/prompts/{task_type}"): ADMIN,
    ("PUT", "/prompts/{task_type}"): ADMIN,
    ("DELETE", "/prompts/{task_type}"): ADMIN,
    ("GET", "/prompts/{task_type}/history"): ADMIN,
    ("POST", "/prompts/{task_type}/rollback"): ADMIN,
    ("POST", "/eval/judge"): ADMIN,
    ("GET", "/eval/judge"): ADMIN,
    ("GET", "/eval/judge/{run_id}"): ADMIN,
    ("DELETE", "/eval/judge/{run_id}"): ADMIN,
    ("GET", "/eval/proposals"): ADMIN,
    ("GET", "/eval/candidates"): ADMIN,
    ("GET", "/eval/proposals/{proposal_id}"): ADMIN,
    ("POST", "/eval/proposals/{proposal_id}/accept"): ADMIN,
    ("POST", "/eval/proposals/{proposal_id}/reject"): ADMIN,
    ("GET", "/eval/judgements"): ADMIN,
    ("GET", "/eval/judgements/{judgement_id}"): ADMIN,
    ("GET", "/datasets/sft"): ADMIN,
    ("GET", "/datasets/preferences"): ADMIN,
    ("GET", "/admin/council/templates"): ADMIN,
    ("GET", "/admin/council/templates/{name}"): ADMIN,
    ("PUT", "/admin/council/templates/{name}"): ADMIN,
    ("DELETE", "/admin/council/templates/{name}"): ADMIN,
    ("POST", "/agents"): ADMIN,
    ("GET", "/agents"): ADMIN,
    ("PATCH", "/agents"): ADMIN,
    ("GET", "/agents/{name}"): ADMIN,
    ("PATCH", "/agents/{name}"): ADMIN,
    ("DELETE", "/agents/{name}"): ADMIN,
    ("POST", "/agents/{name}/messages"): INFERENCE,
    ("POST", "/agents/{name}/visitor-links"): INFERENCE,
    ("GET", "/chat/{agent}"): OPEN,
    ("POST", "/chat/{agent}/session"): VISITOR,
    ("GET", "/agents/{name}/conversations"): ADMIN,
    ("GET", "/agents/{name}/conversations/{conversation_id}"): ADMIN,
    ("DELETE", "/agents/{name}/conversations/{conversation_id}"): ADMIN,
    ("GET", "/models"): ADMIN,
    ("POST", "/models/{name}/load"): ADMIN,
    ("POST", "/models/{name}/unload"): ADMIN,
    ("POST", "/clients"): ADMIN,
    ("GET", "/clients"): ADMIN,
    ("GET", "/clients/{client_id}"): ADMIN,
    ("PATCH", "/clients/{client_id}"): ADMIN,
    ("POST", "/clients/{client_id}/rotate-key"): ADMIN,
    ("GET", "/clients/{client_id}/webhook-secret"): ADMIN,
    ("GET", "/budgets"): ADMIN,
    ("PUT", "/budgets"): ADMIN,
    ("DELETE", "/budgets"): ADMIN,
    ("GET", "/usage"): account(ApiScope.READ_USAGE),
    ("GET", "/clients/{client_id}/usage"): account(
        ApiScope.READ_USAGE, thing=lambda _, holder: {"client_id": holder.client_id}
    ),
    ("POST", "/jobs"): caller(ApiScope.JOBS),
    ("GET", "/jobs"): account(ApiScope.JOBS),
    ("GET", "/jobs/{job_id}"): JOB,
    ("GET", "/jobs/{job_id}/events"): JOB,
    ("DELETE", "/jobs/{job_id}"): JOB,
    ("POST", "/jobs/{job_id}/eval-link"): JOB,
    ("POST", "/jobs/{job_id}/eval"): Door(who=Who.VISITOR, body={"token": "t" * 43, **_SCORE}),
    ("POST", "/eval/jobs/{subject_id}/score"): SCORED_JOB,
    ("GET", "/eval/jobs/{subject_id}/scores"): SCORED_JOB,
    ("POST", "/eval/exchanges/{subject_id}/score"): SCORED_EXCHANGE,
    ("GET", "/eval/exchanges/{subject_id}/scores"): SCORED_EXCHANGE,
    ("GET", "/eval/shadows"): ADMIN,
    ("GET", "/eval/shadows/{shadow_id}"): ADMIN,
    ("POST", "/eval/shadows/{subject_id}/score"): ADMIN,
    ("GET", "/eval/shadows/{subject_id}/scores"): ADMIN,
    ("GET", "/eval/review"): ADMIN,
    ("POST", "/eval/review/{pair_id}"): ADMIN,
    ("GET", "/eval/compare"): ADMIN,
    ("POST", "/tts"): caller(ApiScope.JOBS),
    ("GET", "/tts/voices"): INFERENCE,
    ("POST", "/v1/audio/speech"): INFERENCE,
    ("GET", "/output/{file}"): OUTPUT,
    ("HEAD", "/output/{file}"): OUTPUT,
    ("POST", "/tenants"): ADMIN,
    ("GET", "/tenants"): ADMIN,
    ("PATCH", "/tenants/{tenant_id}"): ADMIN,
    **{
        (method, f"/api/{verb}"): NOBODY
        for verb in ("create", "push", "pull", "copy", "delete", "blobs/{digest}")
        for method in ("GET", "POST", "HEAD", "DELETE")
    },
}


def routes_of(junto: RunningJunto) -> set[Route]:
    """Every route there is: those in the OpenAPI document, and those that the document leaves out."""
    document = junto.http.get("/openapi.json").json()
    known = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    application = junto.services.app._application._built  # type: ignore[attr-defined]  # by the request for the document
    assert isinstance(application, FastAPI)
    return known | set(_routes_in(application.routes))


def filled(path: str, parameters: Mapping[str, str]) -> str:
    """The path with its parameters in place; those that nobody gave name nothing."""
    for name in _names(path):
        value = parameters.get(name) or _PARAMETERS.get(name, f"no-{name.replace('_', '-')}-of-that-name")
        path = path.replace(f"{{{name}}}", value)
    return path


def _names(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:]]


def _routes_in(routes: Iterable[Any]) -> Iterator[Route]:
    """Every method and path, also of routers that were included."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _routes_in(route.original_router.routes)
        else:
            yield from ((method, route.path.replace(":path}", "}")) for method in route.methods)
