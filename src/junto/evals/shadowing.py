"""Replays waiting shadows on their candidates, a few at a time, only where nobody else would wait for it.

Owns when a shadow is tried, given back, or dropped. Which exchanges have one is sampling.py's; the walk itself, and giving way to
real work, the gateway's.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from junto.core.errors import InvalidRequest, JuntoError, NotServable, Overloaded, UnknownModel, UpstreamRejected
from junto.evals.sampling import route_of
from junto.ports.replays import GaveWay, Prospect, Purpose, Replay
from junto.ports.shadows import CapReached, Ended, ShadowStatus, Why

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.core.exchange import ExchangeRecord
    from junto.evals.standing import StandingOf
    from junto.ports.clock import Clock
    from junto.ports.replays import Replayed, Replays
    from junto.ports.shadows import Claim, ShadowObserver, ShadowWork, StoredShadow
    from junto.routing.route_table import RouteTable
    from junto.routing.routes import ShadowModel

MOST_ATTEMPTS: Final = 2
MOST_TURNED_OUT: Final = 3  # times that one gives way; then there is no place for it
OLDEST_MS: Final = 24 * 60 * 60 * 1000
_QUIET_FACTOR: Final = 5  # looks are so much rarer while nothing waits, or much that cannot begin
_LONG: Final = 1_000
_SWEEP_SECONDS: Final = 10.0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """`most` at once in this process; seconds between looks, that a claim holds, and that a replay may take."""

    most: int = 2
    look: float = 1.0
    lease: float = 30.0
    deadline: float = 600.0


class Shadowing:
    """The loop of one process. `worker` is its name in claims; `is_alone`: nobody else works on this database."""

    def __init__(
        self,
        work: ShadowWork,
        replays: Replays,
        *,
        routes: Callable[[], RouteTable],
        standing: StandingOf,
        observer: ShadowObserver,
        clock: Clock,
        make_id: Callable[[], str],
        worker: str,
        is_alone: bool,
        pace: Pace | None = None,
    ) -> None:
        self._work = work
        self._replays = replays
        self._routes = routes
        self._standing = standing
        self._observer = observer
        self._clock = clock
        self._make_id = make_id
        self._worker = worker
        self._is_alone = is_alone
        self._pace = pace or Pace()
        self._running: dict[asyncio.Task[None], tuple[Claim, Prospect]] = {}
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._swept = self._renewed = -_SWEEP_SECONDS
        self._is_quiet = False

    def start(self) -> None:
        """Work in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="junto-shadows")

    async def stop(self) -> None:
        """Stop, and give back what runs. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if task is not None:
            with contextlib.suppress(Overloaded):
                await self._work.release(self._worker)  # one that was being claimed just then

    def wake(self) -> None:
        """Look soon."""
        self._due.set()

    async def look(self) -> None:
        """Sweep, renew and begin what can be begun; raises Overloaded while the database is away."""
        now = self._clock.monotonic()
        if now - self._swept >= min(_SWEEP_SECONDS, self._pace.lease):
            self._swept = now
            await self._sweep()
        if self._running and now - self._renewed >= self._pace.lease / 3:
            self._renewed = now
            await self._work.renew([claim for claim, _ in self._running.values()], lease_ms=self._lease_ms)
        waiting = await self._work.waiting()
        self._observer.shadows_wait({(each.shadow.task_type, each.shadow.model): each.count for each in waiting})
        for each in waiting:
            if len(self._running) >= self._pace.most:
                break
            await self._consider(each.shadow)
            await asyncio.sleep(0)  # one that cannot begin was read all the same, and there may be hundreds of them
        backlog = sum(each.count for each in waiting)
        self._is_quiet = not self._running and not 0 < backlog <= _LONG  # a long backlog takes a while to look at

    @property
    def _lease_ms(self) -> int:
        return int(self._pace.lease * 1000)

    async def _run(self) -> None:
        if self._is_alone:
            with contextlib.suppress(Overloaded):
                await self._work.release(None)  # what the process before this one held
        while True:
            try:
                await self.look()
            except Overloaded:
                pass
            except Exception:  # noqa: BLE001  one that cannot be worked on must not end the others
                structlog.get_logger().exception("shadows_failed")
            seconds = self._pace.look * (_QUIET_FACTOR if self._is_quiet else 1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), seconds)
            self._due.clear()

    async def _sweep(self) -> None:
        for one in await self._work.sweep(older_than_ms=OLDEST_MS, most_attempts=MOST_ATTEMPTS):
            self._ended(one.task_type, one.model, one.status, one.reason)

    async def _consider(self, shadow: StoredShadow) -> None:
        """Begin it, drop it, or leave it where it is."""
        table = self._routes()
        if not table.routes:
            return  # they are not loaded yet, or there are none by now: then it expires
        candidate = _candidate(table, shadow)
        standing = self._standing(shadow.client_id, shadow.tenant_id)
        if candidate is None:
            await self._drop(shadow, Why.UNROUTED)
        elif not shadow.request:
            await self._drop(shadow, Why.UNREADABLE)
        elif standing.refused:
            await self._drop(shadow, Why.DISABLED)
        else:
            replay = Replay(
                id=self._make_id(),
                purpose=Purpose.SHADOW,
                wire=shadow.wire,
                body=shadow.request,
                tenant_id=shadow.tenant_id,
                sensitivity=standing.tier(shadow.sensitivity),
                allow_cloud=standing.allow_cloud,
                task_type=shadow.task_type,
                parent_id=shadow.source_id,
                deadline_s=self._pace.deadline,
            )
            prospect = self._replays.prospect(replay)
            if prospect.refusal is not None:
                await self._refused(shadow, prospect.refusal)
            elif prospect.is_idle and not self._is_there_already(prospect):
                await self._begin(shadow, replay, prospect, candidate.daily_cap_nano)

    async def _refused(self, shadow: StoredShadow, refusal: JuntoError) -> None:
        if isinstance(refusal, NotServable):
            await self._drop(shadow, Why.FLOOR)
        elif isinstance(refusal, InvalidRequest) and not isinstance(refusal, UnknownModel):
            await self._drop(shadow, Why.UNSUITED)

    def _is_there_already(self, prospect: Prospect) -> bool:
        """Whether one runs at that local backend: what it has begun may not be seen there yet, and it would be two then."""
        return prospect.is_local and any(other.backend == prospect.backend for _, other in self._running.values())

    async def _begin(self, shadow: StoredShadow, replay: Replay, prospect: Prospect, cap_nano: int | None) -> None:
        try:
            claim = await self._work.claim(
                shadow, self._worker, lease_ms=self._lease_ms, nano=prospect.nano, cap_nano=cap_nano
            )
        except CapReached:
            self._ended(shadow.task_type, shadow.model, ShadowStatus.DROPPED, Why.CAP.value)
            return
        if claim is None:
            return
        task = asyncio.create_task(self._replay(claim, replay), name=f"junto-shadow-{shadow.id}")
        self._running[task] = (claim, prospect)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._due.set()

    async def _replay(self, claim: Claim, replay: Replay) -> None:
        spent: list[int] = []

        def note(record: ExchangeRecord) -> None:
            spent.append(record.cost_nano)

        try:
            replayed = await self._replays.run(replay, on_record=note)
        except GaveWay:
            await self._end(claim, _turned_out(claim, sum(spent)))
        except JuntoError as error:
            await self._end(claim, _failed(claim, error, sum(spent)))
        except asyncio.CancelledError:
            await self._end(claim, Ended(status=ShadowStatus.PENDING, nano=sum(spent)))
            raise
        except Exception:  # noqa: BLE001  a defect of one must not leave it claimed
            structlog.get_logger().exception("shadow_failed", shadow=claim.shadow.id)
            await self._end(claim, _failed(claim, JuntoError(""), sum(spent)))
        else:
            await self._end(claim, _complete(replayed, sum(spent)))

    async def _end(self, claim: Claim, ended: Ended) -> None:
        shadow = claim.shadow
        try:
            is_ours = await self._work.end(claim, ended)
        except Overloaded:
            return  # nobody renews it any more, so it is taken up again
        if is_ours and ended.status is not ShadowStatus.PENDING:
            self._ended(shadow.task_type, shadow.model, ended.status, ended.error_code)

    async def _drop(self, shadow: StoredShadow, reason: Why) -> None:
        if await self._work.drop(shadow, reason):
            self._ended(shadow.task_type, shadow.model, ShadowStatus.DROPPED, reason.value)

    def _ended(self, task_type: str, model: str, status: ShadowStatus, reason: str) -> None:
        self._observer.shadow_ended(task_type=task_type, model=model, status=status.value, reason=reason)


def _candidate(table: RouteTable, shadow: StoredShadow) -> ShadowModel | None:
    route = route_of(table, shadow.task_type)
    return next((each for each in route.shadow_models if each.model == shadow.model), None) if route else None


def _turned_out(claim: Claim, nano: int) -> Ended:
    if claim.fence - claim.shadow.attempts >= MOST_TURNED_OUT:
        return Ended(status=ShadowStatus.DROPPED, error_code=Why.GAVE_WAY.value, nano=nano)
    return Ended(status=ShadowStatus.PENDING, nano=nano)


def _failed(claim: Claim, error: JuntoError, nano: int) -> Ended:
    if isinstance(error, NotServable):
        return Ended(status=ShadowStatus.DROPPED, error_code=Why.FLOOR.value, nano=nano)
    is_final = claim.shadow.attempts + 1 >= MOST_ATTEMPTS or isinstance(error, InvalidRequest | UpstreamRejected)
    status = ShadowStatus.FAILED if is_final else ShadowStatus.PENDING
    return Ended(status=status, error_code=error.code, failed=True, nano=nano)


def _complete(replayed: Replayed, nano: int) -> Ended:
    usage = replayed.usage
    return Ended(
        status=ShadowStatus.COMPLETE,
        nano=nano,
        answer=_answer(replayed),
        model_used=replayed.model,
        backend=replayed.backend,
        tokens_in=usage.prompt,
        tokens_out=usage.output,
        latency_ms=replayed.latency_ms,
    )


def _answer(replayed: Replayed) -> bytes:
    """As a job's answer is stored."""
    stored: dict[str, Any] = {"response": replayed.text}
    if replayed.tool_calls:
        stored["tool_calls"] = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments or "{}"}}
            for one in replayed.tool_calls
        ]
    return msgspec.json.encode(stored)
