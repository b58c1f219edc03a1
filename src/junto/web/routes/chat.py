"""The chat page of an agent, its visitors' sessions, and the links that invite them. The talk itself goes over a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import Field, StrictInt, StrictStr

from junto.agents.model import is_name
from junto.agents.payer import check_allowed
from junto.agents.visitors import LONGEST_LABEL, LONGEST_SECONDS
from junto.core.errors import Forbidden, NotFound, Unauthenticated
from junto.identity.principal import DEFAULT_TENANT, ApiScope, Principal
from junto.web.deps import Services, account_with
from junto.web.routes.agents import NameInPath, TenantInBody
from junto.web.routes.home import PAGE_HEADERS, read_asset
from junto.web.routes.routing import Strict

if TYPE_CHECKING:
    from junto.agents.visitors import Visit
    from junto.ports.agents import Agent
    from junto.web.services import WebServices

router = APIRouter(tags=["chat"])

COOKIE = "junto_chat"
_WEEK = 7 * 24 * 60 * 60
_NOT_KEPT = {"cache-control": "no-store"}
_FOR_VISITORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No session, and no link."},
    404: {"description": "Not there, or not any more."},
}

type AgentName = Annotated[str, Path(max_length=200)]
type Inviting = Annotated[Principal, Depends(account_with(ApiScope.INFERENCE))]


class NewLink(Strict):
    """A link for one person. `sender` is what the agent's conversations call them."""

    ttl_s: Annotated[StrictInt, Field(ge=1, le=LONGEST_SECONDS)] = _WEEK
    sender: Annotated[StrictStr, Field(max_length=LONGEST_LABEL)] = ""
    tenant: TenantInBody | None = None


@router.post("/agents/{name}/visitor-links", status_code=201)
async def invite(
    name: NameInPath, request: Request, services: Services, caller: Inviting, body: NewLink | None = None
) -> Response:
    """A signed link to the agent's chat page, for one person: who has it, talks as that person until `expires_s`.

    The administrator makes them for any tenant; a client for its own, and what its visitors say is the client's to pay. It can be
    had back only by turning off what it stands on: the agent's `channels.web.visitors`, or the client. 409 where no visitors are let in.
    """
    wanted = body or NewLink()
    agent = await _agent_for(services, caller, name, wanted.tenant)
    visit, token = services.visitors.invite(
        agent,
        client_id="" if caller.is_admin else caller.client_id,
        ttl_s=wanted.ttl_s,
        label=wanted.sender,
        passing=not caller.is_admin and not caller.client_id,
    )
    path = f"/chat/{quote(agent.name)}?t={token}"
    made = {
        "url": f"{_scheme(request)}://{request.url.netloc}{path}",
        "path": path,
        "visitor": visit.visitor,
        "expires_s": visit.expires_s,
    }
    return JSONResponse(made, status_code=201, headers=_NOT_KEPT)


@router.get("/chat/{agent}", response_class=HTMLResponse)
async def page(
    agent: AgentName, request: Request, services: Services, t: Annotated[str, Query(max_length=4_000)] = ""
) -> Response:
    """The page; the same for every agent, whether there is one or not. A link's token becomes a session and leaves the address."""
    if not is_name(agent):
        raise NotFound("There is no such page.")
    if not t:
        return HTMLResponse(read_asset("chat.html").decode(), headers={**PAGE_HEADERS, "cache-control": "no-cache"})
    gone_on = RedirectResponse(
        f"/chat/{agent}", status_code=303, headers={**_NOT_KEPT, "referrer-policy": "no-referrer"}
    )
    visit = services.visitors.by_link(agent, t)
    if visit is not None and services.visitors.host(visit) is not None:
        _begin_session(gone_on, request, services, visit)
    return gone_on


@router.post("/chat/{agent}/session", responses=_FOR_VISITORS)
async def session(agent: AgentName, request: Request, services: Services) -> Response:
    """Whom the page may talk to. Without a session: a new one while no key is needed and the agent lets visitors in, else 401."""
    _check_origin(request)
    visitors = services.visitors
    visit = visitors.by_session(agent, request.cookies.get(COOKIE, ""))
    is_new = visit is None
    if visit is None:
        visit = visitors.passer_by(agent)
    if visit is None and not services.keeps_strangers_out():
        raise Unauthenticated("This chat is opened by a link.")
    host = None if visit is None else visitors.host(visit)
    if visit is None or host is None:
        raise NotFound("There is no such chat.")
    response = JSONResponse(_shown(host, visit), headers=_NOT_KEPT)
    if is_new:
        _begin_session(response, request, services, visit)
    return response


async def _agent_for(services: WebServices, caller: Principal, name: str, tenant: str | None) -> Agent:
    """The agent that the caller may invite to: the administrator to each, a client to those that it may ask itself."""
    if caller.is_admin:
        return await services.agents.get(tenant or DEFAULT_TENANT, name)
    acting = services.authenticator().acting_for(caller, tenant)
    agent = services.agent_handler.agent(acting.tenant, name)
    check_allowed(caller, agent)
    if caller.client_id and acting.tenant != caller.tenant:
        raise Forbidden("A client invites to agents of its own tenant.", param="tenant")
    return agent


def _begin_session(response: Response, request: Request, services: WebServices, visit: Visit) -> None:
    response.set_cookie(
        COOKIE,
        services.visitors.session(visit),
        max_age=services.visitors.seconds_left(visit),
        path=f"/chat/{visit.agent}",
        secure=_scheme(request) == "https",
        httponly=True,
        samesite="strict",
    )


def _scheme(request: Request) -> str:
    """As the person's browser sees it, as far as a proxy tells."""
    told = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return told if told in {"http", "https"} else request.url.scheme


def _check_origin(request: Request) -> None:
    """Raise Forbidden for what a page of another address asks."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    try:
        asked_from = urlsplit(origin).netloc
    except ValueError:
        asked_from = ""
    if asked_from != request.headers.get("host"):
        raise Forbidden("Only pages of this address may open a chat.")


def _shown(agent: Agent, visit: Visit) -> dict[str, Any]:
    return {
        "agent": {"name": agent.name, "title": agent.title, "role": agent.role},
        "visitor": visit.visitor,
        "expires_s": visit.expires_s,
    }
