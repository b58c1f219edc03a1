"""Delivers webhooks: takes what is due from the outbox, signs it, sends it, and comes back to what failed.

Owns what a webhook says, and when it is tried again. A tier binds a webhook's body as it binds everything made from a
request: only of a `public` job does it carry the job, of all others nothing but which job it is and how it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from junto.core.sensitivity import Sensitivity
from junto.jobs import signing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from junto.core.secret import Secret
    from junto.ports.clock import Clock
    from junto.ports.observer import JobObserver
    from junto.ports.outbound import Delivered, Deliverer
    from junto.ports.webhooks import Notice, PublicJobs, WebhookStore

GIVE_UP_MS: Final = 24 * 3_600_000
_FIRST_DELAY_MS = 10_000
_LONGEST_DELAY_MS = 3 * 3_600_000
_MOST_DOUBLINGS = 20
_MOST_ATTEMPTS = 40  # of a job whose end is not known; the others are bounded by time
_HOLD_MS = 60_000  # longer than any delivery takes; a node that dies in between costs this much delay
_LARGEST_BODY = 1024 * 1024
_GONE = 410
_ALWAYS = ("job_id", "status")


def body_of(job: Mapping[str, Any], notice: Notice) -> bytes:
    """The JSON that is sent. A public job larger than 1 MiB is cut down like the others: the receiver reads it by its link."""
    reduced = {key: job[key] for key in _ALWAYS if key in job} | {"job_id": notice.job_id, "poll_url": poll_url(notice)}
    if notice.sensitivity == Sensitivity.PUBLIC.label:
        whole = msgspec.json.encode({**job, **reduced})
        if len(whole) <= _LARGEST_BODY:
            return whole
    return msgspec.json.encode(reduced)


def poll_url(notice: Notice) -> str:
    """Where the job is read, relative to this Junto."""
    return f"/jobs/{notice.job_id}"


def delay_ms(attempt: int, *, jitter: float, retry_after: float | None = None) -> int:
    """How long to wait after that attempt failed: doubling from 10 s to 3 h, half of it by chance; `jitter` is in [0, 1)."""
    longest = min(_FIRST_DELAY_MS << min(attempt - 1, _MOST_DOUBLINGS), _LONGEST_DELAY_MS)
    delay = longest // 2 + int(longest / 2 * jitter)
    return max(delay, int((retry_after or 0) * 1000))


class Webhooks:
    """The background service; any number of nodes may run one on the same database.

    `key_of` gives the signing key of a tenant's client, `jitter` numbers in [0, 1). `wake` may be called when something was
    put into the outbox; without it the outbox is looked at every `pause` seconds.
    """

    def __init__(
        self,
        *,
        store: WebhookStore,
        jobs: PublicJobs,
        deliverer: Deliverer,
        key_of: Callable[[str, str], Secret],
        clock: Clock,
        jitter: Callable[[], float],
        observer: JobObserver | None = None,
        pause: float = 2.0,
        at_once: int = 16,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._deliverer = deliverer
        self._key_of = key_of
        self._clock = clock
        self._jitter = jitter
        self._observer = observer
        self._pause = pause
        self._at_once = at_once
        self._under_way: set[asyncio.Task[None]] = set()
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    def wake(self) -> None:
        """Look at the outbox now."""
        self._awake.set()

    def start(self) -> None:
        """Begin to deliver in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """End; deliveries under way are broken off and tried again later, by whoever is there. Safe to call twice."""
        task, self._task = self._task, None
        for each in (*self._under_way, *((task,) if task is not None else ())):
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each
        await self._deliverer.close()

    async def deliver_due(self) -> int:
        """Try what is due now, once, and wait for it; gives how many that were."""
        notices = await self._store.claim(limit=self._at_once, hold_ms=_HOLD_MS)
        await asyncio.gather(*(self._try(notice) for notice in notices))
        return len(notices)

    async def _run(self) -> None:
        away = False
        while True:
            self._awake.clear()
            try:
                taken = await self._begin()
                away = False
            except Exception as error:  # noqa: BLE001  the database is away: it comes back, and the outbox with it
                if not away:
                    self._log.warning("webhooks_wait", reason=type(error).__name__)
                away, taken = True, 0
            if not taken:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause):
                        await self._awake.wait()

    async def _begin(self) -> int:
        """Start as many deliveries as there is room for; gives how many."""
        room = self._at_once - len(self._under_way)
        if not room:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            return 1
        notices: Sequence[Notice] = await self._store.claim(limit=room, hold_ms=_HOLD_MS)
        for notice in notices:
            task = asyncio.create_task(self._try(notice))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(notices)

    async def _try(self, notice: Notice) -> None:
        """One try. Never raises but for cancellation: what cannot be written down now is due again when its hold ends."""
        try:
            job = await self._jobs.find_public(notice.tenant_id, notice.job_id)
            if job is None:
                await self._store.give_up(notice, error="The job is gone.")
                self._tell("given_up")
                return
            await self._note(notice, await self._send(notice, job))
        except Exception:  # noqa: BLE001
            self._log.exception("webhook_failed", event_id=notice.id)

    async def _send(self, notice: Notice, job: Mapping[str, Any]) -> Delivered:
        body = body_of(job, notice)
        headers = signing.signed_headers(
            self._key_of(notice.tenant_id, notice.client_id),
            event_id=notice.id,
            timestamp=self._clock.wall_ms() // 1000,
            body=body,
        )
        told = {**headers, "content-type": "application/json", "user-agent": "junto"}
        return await self._deliverer.post(notice.url, told, body)

    async def _note(self, notice: Notice, delivered: Delivered) -> None:
        if delivered.succeeded:
            await self._store.delivered(notice)
            self._tell("delivered")
            return
        delay = delay_ms(notice.attempt, jitter=self._jitter(), retry_after=delivered.retry_after)
        if delivered.status == _GONE or _is_too_late(notice, delay):
            await self._store.give_up(notice, error=delivered.failure)
            self._tell("given_up")
            return
        await self._store.retry(notice, delay_ms=delay, error=delivered.failure)
        self._tell("retried")

    def _tell(self, outcome: str) -> None:
        if self._observer is not None:
            self._observer.webhook_tried(outcome=outcome)


def _is_too_late(notice: Notice, delay: int) -> bool:
    """Whether the next try would come more than a day after the job ended."""
    if notice.finished_ms is None:
        return notice.attempt >= _MOST_ATTEMPTS
    return notice.now_ms + delay > notice.finished_ms + GIVE_UP_MS
