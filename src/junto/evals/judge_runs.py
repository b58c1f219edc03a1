"""Works runs of judgements off in the background: one run at a time in a process, one judgement after the other.

Owns the lease of a run. What was judged and written down is never judged again; what was under way when a process died is taken up by
another one when the lease has run out.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from junto.core.errors import JuntoError, Overloaded
from junto.evals.judges import failed
from junto.evals.jury import Asked

if TYPE_CHECKING:
    from junto.evals.cases import Cases
    from junto.evals.judges import Judges
    from junto.evals.judging import Judging
    from junto.ports.clock import Clock
    from junto.ports.judging import Decision, Judgement, JudgementStore, RunClaim, RunStore

_RENEWALS: Final = 3  # within a lease
_MARGIN: Final = 0.8  # of a lease: after that without a renewal, another process may soon have the run
_DEADLINE_SECONDS: Final = 600.0  # of one call
_OLDEST_MS: Final = 24 * 3600 * 1000  # of a run that nobody has room for: then its judgements fail
_RARELY: Final = 120  # looks between two for what was left behind
_ABANDONED_MS: Final = 3600 * 1000
_ASKED = msgspec.json.Decoder(Asked)


class _PutBack(Exception):
    """The run is to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePace:
    """How long things take, in seconds: a lease, the time between two looks for runs, and the rest of a run that nobody had room for."""

    lease: float = 30.0
    every: float = 5.0
    rest: float = 30.0


class JudgeRuns:
    """One for a process."""

    def __init__(
        self,
        runs: RunStore,
        judgements: JudgementStore,
        *,
        judging: Judging,
        cases: Cases,
        clock: Clock,
        worker: str,
        pace: JudgePace | None = None,
    ) -> None:
        self._runs = runs
        self._judgements = judgements
        self._judging = judging
        self._cases = cases
        self._clock = clock
        self._worker = worker
        self._pace = pace or JudgePace()
        self._judges: Judges | None = None
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._under_way: tuple[str, asyncio.Task[None]] | None = None
        self._log = structlog.get_logger()

    def start(self, judges: Judges) -> None:
        """Work in the background; `judges` puts decisions into effect."""
        self._judges = judges
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="junto-judge-runs")

    async def stop(self) -> None:
        """Stop, and give back what is under way; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def under_way(self) -> str:
        """The run that this process works on; "" for none."""
        return "" if self._under_way is None else self._under_way[0]

    def wake(self) -> None:
        """There is a new run."""
        self._woken.set()

    def drop(self, run_id: str) -> None:
        """That run is cancelled: stop with it, if it is under way here."""
        if self._under_way is not None and self.under_way == run_id:
            self._under_way[1].cancel()

    async def _run(self) -> None:
        for look in count():
            self._woken.clear()
            try:
                while await self._take_one():
                    pass
                if look % _RARELY == 0:
                    await self._judgements.abandon(older_ms=_ABANDONED_MS)
            except Overloaded:
                pass  # the database is away: at the next look
            except Exception:  # noqa: BLE001  whatever it is, other runs must go on
                self._log.exception("judge_runs_failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._pace.every)

    async def _take_one(self) -> bool:
        """Work on one run until it is at its end, or no longer this process's; False when there is none."""
        claim = await self._runs.claim(self._worker, lease_ms=int(self._pace.lease * 1000))
        if claim is None:
            return False
        work = asyncio.create_task(self._work(claim), name="junto-judge-run")
        renewing = asyncio.create_task(self._renewing(claim), name="junto-judge-lease")
        self._under_way = (claim.run.id, work)
        delay_ms = 0
        try:
            await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._under_way = None
            for task in (work, renewing):
                task.cancel()
            ended, _ = await asyncio.gather(work, renewing, return_exceptions=True)
            if isinstance(ended, Exception):
                delay_ms = int(self._pace.rest * 1000)
                if not isinstance(ended, _PutBack):
                    self._log.warning("judge_run_stopped", run_id=claim.run.id, error=type(ended).__name__)
            if ended is not None:
                with contextlib.suppress(Overloaded):
                    await asyncio.shield(self._runs.release(claim, delay_ms=delay_ms))
        return True

    async def _work(self, claim: RunClaim) -> None:
        asked = _ASKED.decode(claim.run.request)
        while (judgement := await self._runs.next(claim)) is not None:
            decision = await self._decide(claim, asked, judgement)
            if not await self._runs.finish(claim, judgement, decision):
                return

    async def _decide(self, claim: RunClaim, asked: Asked, judgement: Judgement) -> Decision:
        try:
            case = await self._cases.of_judgement(asked, judgement)
            judged = await self._judging.judge(case, deadline_s=_DEADLINE_SECONDS)
        except Overloaded:
            raise  # the database is away
        except JuntoError as error:
            return failed(error)
        except Exception:  # noqa: BLE001  a defect must not have the run taken up again for ever
            self._log.exception("judgement_failed", judgement_id=judgement.id)
            return failed(JuntoError("Something went wrong inside Junto."))
        young = self._clock.wall_ms() - claim.run.created_ms < _OLDEST_MS
        if judged.is_busy and young:
            raise _PutBack
        assert self._judges is not None  # noqa: S101  it was given when this was started
        return await self._judges.applied(case, judged)

    async def _renewing(self, claim: RunClaim) -> None:
        """Return when the lease is lost."""
        good_until = self._clock.monotonic() + self._pace.lease * _MARGIN
        while self._clock.monotonic() < good_until:
            await asyncio.sleep(self._pace.lease / _RENEWALS)
            asked_at = self._clock.monotonic()
            with contextlib.suppress(Overloaded):
                if not await self._runs.renew(claim, lease_ms=int(self._pace.lease * 1000)):
                    return
                good_until = asked_at + self._pace.lease * _MARGIN
