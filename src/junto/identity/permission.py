"""What a principal may do beyond being known: the scopes of its keys, and acting for another tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import Forbidden
from junto.core.limits import Limits
from junto.identity.keyring import limited_by
from junto.identity.principal import ApiScope, Principal

if TYPE_CHECKING:
    from junto.identity.keyring import Keyring

_LONGEST_SHOWN = 64


def require(principal: Principal, scope: ApiScope) -> None:
    """Raise Forbidden unless the principal's key is good for that."""
    if scope not in principal.scopes:
        raise Forbidden(f"This API key does not have the scope {scope.value}.")


def acting_for(principal: Principal, tenant_id: str | None, keyring: Keyring) -> Principal:
    """The principal to go on with when a body names a tenant: its limits and budgets count, the client's policy stays.

    A key without the scope `service` may name its own tenant only; raises Forbidden.
    """
    if tenant_id is None or tenant_id == principal.tenant:
        return principal
    tenant = keyring.tenant(tenant_id)
    if ApiScope.SERVICE not in principal.scopes or tenant is None or not tenant.enabled:
        # One answer for all three: who may not act for others learns nothing about them.
        raise Forbidden(f"This API key may not act for the tenant {tenant_id[:_LONGEST_SHOWN]!r}.", param="tenant_id")
    limits = principal.limited_by.client if principal.limited_by is not None else Limits()
    own = tuple(budget for budget in principal.budgets if budget.scope != "tenant")
    return msgspec.structs.replace(
        principal,
        tenant=tenant.id,
        limited_by=limited_by(principal.client_id, limits, tenant),
        budgets=(*own, *tenant.budgets),
    )
