"""What endpoints of the control plane ask for: the services, and proof that the caller may enter."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from junto.identity.principal import Principal
from junto.web.services import WebServices


def services_of(request: Request) -> WebServices:
    """The services that the application was built with."""
    return cast("WebServices", request.app.state.services)


type Services = Annotated[WebServices, Depends(services_of)]


def _header(request: Request, name: str) -> bytes | None:
    value = request.headers.get(name)
    return None if value is None else value.encode("latin-1")


def admin_of(request: Request, services: Services) -> Principal:
    """The administrator; 401 without a key, 403 with a wrong one."""
    return services.authenticator().for_admin(_header(request, "authorization"), _header(request, "x-api-key"))


def caller_of(request: Request, services: Services) -> Principal:
    """Whoever may use models."""
    return services.authenticator().for_inference(_header(request, "authorization"), _header(request, "x-api-key"))


type Admin = Annotated[Principal, Depends(admin_of)]
type Caller = Annotated[Principal, Depends(caller_of)]
