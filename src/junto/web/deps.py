"""What endpoints of the control plane ask for: the services, and proof that the caller may enter.

All of them are coroutines: FastAPI runs others in a thread, which costs more than they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from junto.identity.principal import ApiScope, Principal
from junto.web.services import WebServices

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def services_of(request: Request) -> WebServices:
    """The services that the application was built with."""
    return cast("WebServices", request.app.state.services)


type Services = Annotated[WebServices, Depends(services_of)]


async def admin_of(request: Request, services: Services) -> Principal:
    """The administrator; 401 without a key, 403 with a wrong one."""
    return administrator(request, services)


def administrator(request: Request, services: WebServices) -> Principal:
    """The same, for those who do not ask FastAPI."""
    return services.authenticator().for_admin(*_credentials(request))


def caller_with(scope: ApiScope) -> Callable[[Request, WebServices], Awaitable[Principal]]:
    """The dependency that lets in whoever may use models, as long as the key has the scope."""

    async def caller(request: Request, services: Services) -> Principal:
        return await services.authenticator().caller(*_credentials(request), scope)

    return caller


def account_with(scope: ApiScope) -> Callable[[Request, WebServices], Awaitable[Principal]]:
    """The same, and the administrator as such in open mode too: for what is the caller's own, or the administrator's to see."""

    async def account(request: Request, services: Services) -> Principal:
        return await services.authenticator().account(*_credentials(request), scope)

    return account


type Admin = Annotated[Principal, Depends(admin_of)]
type Caller = Annotated[Principal, Depends(caller_with(ApiScope.INFERENCE))]
type JobCaller = Annotated[Principal, Depends(caller_with(ApiScope.JOBS))]
type JobAccount = Annotated[Principal, Depends(account_with(ApiScope.JOBS))]
type UsageAccount = Annotated[Principal, Depends(account_with(ApiScope.READ_USAGE))]


def _credentials(request: Request) -> tuple[bytes | None, bytes | None]:
    return _header(request, "authorization"), _header(request, "x-api-key")


def _header(request: Request, name: str) -> bytes | None:
    value = request.headers.get(name)
    return None if value is None else value.encode("latin-1")
