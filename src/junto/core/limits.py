"""What a client or a tenant may use in a minute and at once. Values; counting against them is the gateway's business."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrency: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return (
            self.requests_per_minute is not None
            or self.tokens_per_minute is not None
            or self.max_concurrency is not None
        )


class LimitedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Whose limits a request counts against: its client's and its tenant's, by their ids. Made once per key."""

    client_id: str
    client: Limits = Limits()
    tenant_id: str
    tenant: Limits = Limits()
