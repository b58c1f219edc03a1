"""The authenticated caller of one request."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from junto.core.limits import LimitedBy
from junto.core.sensitivity import Sensitivity

DEFAULT_TENANT = "default"


class ApiScope(StrEnum):
    """What a client's keys may be used for."""

    INFERENCE = "inference"
    JOBS = "jobs"
    SERVICE = "service"  # acting on behalf of the tenant that a body names
    READ_USAGE = "read-usage"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget that a principal's requests are paid from; where it stands, the database knows."""

    id: str
    scope: str  # key | client | tenant
    period: str  # daily | monthly | total
    limit_nano: int


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A caller and what its client's policy allows. Made once per key, not per request.

    `tenant` is the tenant's id, `client` the client's name for people; `client_id` and `key_id` are "" for the callers that
    are in no database: the administrator, and whoever asks in open mode. `limited_by` is None where there is no limit.
    `budgets` are in the order in which they are drawn from: key, client, tenant.
    """

    tenant: str = DEFAULT_TENANT
    client: str = "anonymous"
    client_id: str = ""
    key_id: str = ""
    is_admin: bool = False
    scopes: frozenset[ApiScope] = frozenset(ApiScope)
    allow_cloud_for_internal: bool = False
    min_sensitivity: Sensitivity = Sensitivity.PUBLIC
    allowed_models: frozenset[str] | None = None  # None: all
    weight: int = 1
    limited_by: LimitedBy | None = None
    budgets: tuple[Budget, ...] = ()
