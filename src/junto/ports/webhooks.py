"""Webhooks that are due, where they are kept, and where the jobs that they tell of are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One claimed webhook: nobody else delivers it until its hold runs out. Times are the database's milliseconds.

    `attempt` counts from 1 and is the guard of what is written about this try: a later claim has another number.
    """

    tenant_id: str
    id: str  # the event's id: the same on every try, so that a receiver can tell repetitions
    job_id: str
    client_id: str
    url: str
    attempt: int
    sensitivity: str
    now_ms: int
    finished_ms: int | None  # of the job


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job's webhook has got, for the job's owner. `next_ms` is None once it is over."""

    id: str
    url: str
    state: str  # pending | delivered | given_up
    attempts: int
    last_error: str | None = None
    next_ms: int | None = None
    done_ms: int | None = None


class WebhookStore(Protocol):
    """The outbox. Each method is one transaction; what is written about a try is ignored once a later try was claimed."""

    async def claim(self, *, limit: int, hold_ms: int) -> Sequence[Notice]:
        """Take due webhooks, tenants in turn, and keep others from taking them for `hold_ms`."""

    async def delivered(self, notice: Notice) -> None:
        """The receiver has taken it."""

    async def retry(self, notice: Notice, *, delay_ms: int, error: str) -> None:
        """It failed, and is due again after `delay_ms`."""

    async def give_up(self, notice: Notice, *, error: str) -> None:
        """It failed for good."""

    async def deliveries(self, tenant_id: str, job_id: str) -> Sequence[Delivery]:
        """The webhooks of a job, oldest first."""


class PublicJobs(Protocol):
    """Jobs as their owners see them."""

    async def find_public(self, tenant_id: str, job_id: str) -> Mapping[str, Any] | None:
        """What GET /jobs/{id} would say, as plain JSON-ready values; None when there is no such job any more."""
