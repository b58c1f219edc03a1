"""Shadows as they are kept: what was sampled of real traffic, to be asked of candidates and never told to the caller.

Values, the Protocol of the store, and who is told of what happens. Which exchanges are sampled is evals/sampling.py's, when they
are replayed evals/shadowing.py's.

Texts of a row are compressed and sealed as a job's are, at the place (tenant, id, `request`) and (tenant, id, `answer`); the request is a
body of `wire`, the answer JSON as a job's: `{"response": text, "tool_calls"?: [...]}`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.core.exchange import ExchangeRecord


class ShadowStatus(StrEnum):
    """Where a shadow stands. The last three are ends."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    DROPPED = "dropped"


class Why(StrEnum):
    """Why there is no shadow, or one was dropped: the `error_code` of the row, where there is one."""

    FLOOR = "floor"  # the candidate may not see content of that tier
    BACKLOG = "backlog"  # too many wait already
    CAP = "daily_cap"
    EXPIRED = "expired"
    GAVE_WAY = "gave_way"  # to real work, too often
    UNROUTED = "unrouted"  # the route names that model no more
    UNREADABLE = "unreadable"
    UNSUITED = "unsuited"  # the candidate cannot be asked that at all
    DISABLED = "client_disabled"
    CRASHED = "crashed"  # whoever asked it died of it, or beside it, too often


class NewShadow(msgspec.Struct, frozen=True, kw_only=True):
    """One that is to be kept: `request` is the body with the candidate's name in it, `source_kind` exchange or job."""

    id: str
    tenant_id: str
    source_kind: str
    source_id: str
    task_type: str
    client_id: str
    sensitivity: str
    wire: str
    production_model: str
    model: str
    request: bytes
    prompt_version: str = ""
    route_version: int = 0


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest that waits of one task and candidate, and how many of those wait."""

    shadow: StoredShadow
    count: int


class StoredShadow(msgspec.Struct, frozen=True, kw_only=True):
    """One as it is kept; `request` is b"" where it cannot be read. `fence` counts its claims, `attempts` those that failed."""

    id: str
    tenant_id: str
    task_type: str
    source_id: str
    client_id: str
    sensitivity: str
    wire: str
    model: str
    request: bytes = b""
    fence: int = 0
    attempts: int = 0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A shadow that this process replays; every write for it is guarded by its fence."""

    shadow: StoredShadow
    fence: int


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a try ended. `nano` is what it cost; `status` PENDING gives it back, to be tried again."""

    status: ShadowStatus
    error_code: str = ""
    failed: bool = False  # it counts as a failed attempt
    nano: int = 0
    answer: bytes | None = None
    model_used: str = ""
    backend: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    latency_ms: int = 0


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """One that a sweep has ended."""

    task_type: str
    model: str
    status: ShadowStatus
    reason: str


class ShadowQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which to list, newest first; `before` is an id for the next page, `limit` at most 200."""

    task_type: str | None = None
    status: str | None = None
    limit: int = 50
    before: str | None = None


class ShadowWork(Protocol):
    """Shadows as work. All raise core.errors.Overloaded while the database is away."""

    async def waiting(self) -> Sequence[Waiting]:
        """The oldest of each task and candidate, oldest first, with its request."""

    async def claim(
        self, shadow: StoredShadow, worker: str, *, lease_ms: int, nano: int, cap_nano: int | None
    ) -> Claim | None:
        """Take it, with so much of its day's cap put aside, in one transaction; None where somebody else has it, or it was dropped.

        Where the cap has no room the shadow is dropped in that transaction, and CapReached raised.
        """

    async def drop(self, shadow: StoredShadow, reason: Why) -> bool:
        """End one that waits, without its text; False where it waits no more."""

    async def end(self, claim: Claim, ended: Ended) -> bool:
        """Write the end of a try down and settle what was put aside; False where the claim was lost: then nothing changes."""

    async def renew(self, claims: Sequence[Claim], *, lease_ms: int) -> None:
        """Hold them longer."""

    async def sweep(self, *, older_than_ms: int, most_attempts: int) -> Sequence[Swept]:
        """Give back what nobody holds any more, failed once more, and end what has waited too long, or crashed too often."""

    async def release(self, worker: str | None) -> None:
        """Give back what that worker holds; None: what anybody does, for a process that is alone with its database."""


class ShadowPages(Protocol):
    """Shadows as the operator looks at them."""

    async def page(self, query: ShadowQuery) -> Sequence[Mapping[str, Any]]:
        """Figures of those that match, without texts, as plain JSON-ready dictionaries."""

    async def find(self, shadow_id: str) -> Mapping[str, Any] | None:
        """One, with its request (JSON) and its answer."""


class CapReached(Exception):
    """The day's cap of that candidate has no room."""


class ShadowObserver(Protocol):
    """Is told of shadows."""

    def shadow_sampled(self, *, task_type: str, model: str) -> None:
        """One waits now."""

    def shadow_ended(self, *, task_type: str, model: str, status: str, reason: str) -> None:
        """One has ended, or never began (`dropped` with its reason)."""

    def shadows_wait(self, waiting: Mapping[tuple[str, str], int]) -> None:
        """So many wait, by task and candidate."""


class ShadowChooser(Protocol):
    """Decides which exchanges have shadows."""

    def choose(self, records: Sequence[ExchangeRecord]) -> Sequence[NewShadow]:
        """The shadows of these exchanges, which were stored just now."""

    def kept(self, shadows: Sequence[NewShadow], *, dropped: Sequence[NewShadow]) -> None:
        """These wait now; there was no room for the others."""
