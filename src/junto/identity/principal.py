"""The authenticated caller of one request."""

from __future__ import annotations

import msgspec

from junto.core.sensitivity import Sensitivity


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A caller and what its client's policy allows. Made once per key, not per request."""

    tenant: str = "default"
    client: str = "anonymous"
    is_admin: bool = False
    allow_cloud_for_internal: bool = False
    min_sensitivity: Sensitivity = Sensitivity.PUBLIC
    allowed_models: frozenset[str] | None = None  # None: all
    weight: int = 1
