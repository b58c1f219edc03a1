"""Assembles the way out to addresses that users name: the guard for submit, and the service that delivers webhooks."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from junto.core.secret import Secret
from junto.jobs.signing import client_key
from junto.jobs.webhooks import Webhooks
from junto.providers.outbound import Allowed, DelivererOnDemand, Guard, system_resolve
from junto.storage.repositories.outbox import StoredWebhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from junto.ports.clock import Clock
    from junto.ports.observer import JobObserver
    from junto.ports.outbound import OutboundGuard
    from junto.ports.webhooks import PublicJobs, WebhookStore
    from junto.providers.outbound import Resolve
    from junto.storage.sessions import Sessions

_FILE = "webhook-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """What jobs and endpoints use of it. `webhooks` is not started; whoever builds it starts and stops it."""

    guard: OutboundGuard
    store: WebhookStore
    webhooks: Webhooks
    key_of: Callable[[str, str], Secret]


def outbound(
    *,
    sessions: Sessions,
    jobs: PublicJobs,
    clock: Clock,
    server_secret: Secret,
    allow: Callable[[], Sequence[str]],
    observer: JobObserver | None = None,
    resolve: Resolve = system_resolve,
    jitter: Callable[[], float] = random.random,
) -> Outbound:
    """The parts of it. `allow` gives `outbound.allow` as it is in force now."""
    guard = Guard(allowed=_reader(allow), resolve=resolve)
    store = StoredWebhooks(sessions)

    def key_of(tenant_id: str, client_id: str) -> Secret:
        return client_key(server_secret, tenant_id, client_id)

    webhooks = Webhooks(
        store=store,
        jobs=jobs,
        deliverer=DelivererOnDemand(guard),
        key_of=key_of,
        clock=clock,
        jitter=jitter,
        observer=observer,
    )
    return Outbound(guard=guard, store=store, webhooks=webhooks, key_of=key_of)


def server_secret(data_dir: Path, given: Secret | None) -> Secret:
    """What clients' webhook keys are derived from: JUNTO_SECRETS_KEY, else a secret made once and kept in the data directory.

    Several hosts need the variable: each would make its own secret otherwise, and sign with keys that the others do not know.
    """
    if given:
        return given
    file = data_dir / _FILE
    with contextlib.suppress(FileNotFoundError):
        if kept := file.read_text("ascii").strip():
            return Secret(kept)
    made = secrets.token_urlsafe(32)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_name(f"{_FILE}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as written:
        written.write(made + "\n")
        written.flush()
        os.fsync(written.fileno())
    new.replace(file)  # whole or not at all: an empty secret would sign what nobody can check
    return Secret(made)


def _reader(allow: Callable[[], Sequence[str]]) -> Callable[[], Allowed]:
    """Reads the entries again only when a reload has changed them."""
    known: Sequence[str] = ()
    read = Allowed()

    def allowed() -> Allowed:
        nonlocal known, read
        entries = allow()
        if entries is not known:
            known, read = entries, Allowed.of(entries)
        return read

    return allowed
