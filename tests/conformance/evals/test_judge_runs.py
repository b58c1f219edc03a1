"""Runs at work, on every database: each subject is judged once, whoever dies or is busy meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import msgspec
import pytest

from junto.bootstrap.clock import SystemClock
from junto.core.errors import AllBackendsDown
from junto.evals.cases import Cases
from junto.evals.judge_runs import JudgePace, JudgeRuns
from junto.evals.judges import Judges
from junto.evals.jury import Asked
from junto.evals.standing import Standing
from junto.ports.judging import Mode, NewJudgement, NewRun, Run, Status
from junto.storage.repositories.judge_runs import StoredRuns
from junto.storage.repositories.judging import StoredJudgements
from junto.telemetry.judges import JudgeMetrics
from tests.unit.evals.bench import ScriptedReplays, facts, judging, words
from tests.unit.evals.test_cases import KnownSubjects, WrittenScores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from junto.core.chat import ChatRequest
    from junto.ports.judging import RunClaim
    from junto.storage.sessions import Sessions
    from tests.unit.evals.bench import Line

pytestmark = pytest.mark.anyio

RUN = "jrn_1"
GOOD = '{"score": 4, "reason": "so"}'
PACE = JudgePace(lease=3.0, every=0.02, rest=0.01)


@dataclass(slots=True)
class Worker:
    """What one process has of it."""

    runs: JudgeRuns
    judges: Judges
    replays: ScriptedReplays
    scores: WrittenScores = field(default_factory=WrittenScores)


def worker(sessions: Sessions, name: str, *lines: Line, hangs: bool = False, runs: StoredRuns | None = None) -> Worker:
    replays = ScriptedReplays({"alpha-7b": list(lines) or [GOOD]}, hangs=hangs)
    cases = Cases(
        KnownSubjects([facts(f"req_{number}", answer=f"answer {number}") for number in range(5)]),
        lambda client_id, tenant_id: Standing(allow_cloud=True),
    )
    stored, scores = StoredJudgements(sessions), WrittenScores()
    runs = runs or StoredRuns(sessions)
    numbers = count()
    background = JudgeRuns(
        runs, stored, judging=judging(replays), cases=cases, clock=SystemClock(), worker=name, pace=PACE
    )
    judges = Judges(
        judging(replays),
        cases,
        judgements=stored,
        runs=runs,
        scores=scores,  # type: ignore[arg-type]
        observer=JudgeMetrics(),
        make_id=lambda kind: f"{kind}_{name}_{next(numbers)}",
        wake=background.wake,
        drop=background.drop,
    )
    return Worker(background, judges, replays, scores)


async def begin(sessions: Sessions, subjects: int = 5) -> None:
    asked = Asked(mode=Mode.POINTWISE, judges=("alpha-7b",), apply=True)
    judgements = [
        NewJudgement(id=f"jdg_{number}", run_id=RUN, mode=Mode.POINTWISE, subject=facts(f"req_{number}").subject)
        for number in range(subjects)
    ]
    await StoredRuns(sessions).create(NewRun(id=RUN, request=msgspec.json.encode(asked)), judgements)


@asynccontextmanager
async def at_work(*workers: Worker) -> AsyncIterator[None]:
    for each in workers:
        each.runs.start(each.judges)
    try:
        yield
    finally:
        for each in workers:
            await each.runs.stop()


async def ended(sessions: Sessions) -> Run:
    async with asyncio.timeout(30):
        while True:
            run = await StoredRuns(sessions).run(RUN)
            assert run is not None
            if run.finished_ms is not None:
                return run
            await asyncio.sleep(0.02)


async def marks(sessions: Sessions) -> list[tuple[str, int | None, str]]:
    found = await StoredRuns(sessions).judgements(RUN, after=None, limit=100)
    return [(one.subject.id, one.score, one.error_code) for one in found]


async def test_several_workers_judge_each_subject_once(sessions: Sessions) -> None:
    await begin(sessions)
    workers = [worker(sessions, f"w{number}") for number in range(3)]
    async with at_work(*workers):
        run = await ended(sessions)
    assert (run.status, run.done, run.failed) == (Status.COMPLETE, 5, 0)
    assert await marks(sessions) == [(f"req_{number}", 4, "") for number in range(5)]
    scored = Counter(score.subject.id for each in workers for score in each.scores.scores)
    assert scored == {f"req_{number}": 1 for number in range(5)}


async def test_a_run_whose_worker_hangs_and_dies_is_taken_up_without_judging_anything_again(sessions: Sessions) -> None:
    await begin(sessions, 3)

    def hang_at_the_second(request: ChatRequest) -> str:
        lost.replays.hangs = True
        return GOOD

    lost, heir = worker(sessions, "lost", hang_at_the_second, runs=NeverReleased(sessions)), worker(sessions, "heir")
    lost.runs.start(lost.judges)
    await lost.replays.is_asked.wait()
    await lost.runs.stop()
    async with at_work(heir):
        run = await ended(sessions)
    assert (run.done, run.failed, run.fence) == (3, 0, 2)
    assert [score.subject.id for score in lost.scores.scores] == ["req_0"]
    assert [score.subject.id for score in heir.scores.scores] == ["req_1", "req_2"]


class NeverReleased(StoredRuns):
    """What a killed process leaves: it gives nothing back."""

    async def release(self, claim: RunClaim, *, delay_ms: int) -> None:
        pass


async def test_what_nobody_has_room_for_waits_and_is_judged_later(sessions: Sessions) -> None:
    await begin(sessions, 2)
    one = worker(sessions, "w", AllBackendsDown("down"), AllBackendsDown("down"), GOOD)
    async with at_work(one):
        run = await ended(sessions)
    assert (run.done, run.failed) == (2, 0)
    assert run.fence == 3
    assert len(one.replays.asked) == 4


async def test_a_defect_fails_its_own_judgement_and_no_other(sessions: Sessions) -> None:
    await begin(sessions, 3)

    def broken_at_one(request: ChatRequest) -> str:
        if "answer 1" in words(request):
            raise RuntimeError("a defect")
        return GOOD

    async with at_work(worker(sessions, "w", broken_at_one)):
        run = await ended(sessions)
    assert (run.done, run.failed) == (3, 1)
    assert await marks(sessions) == [("req_0", 4, ""), ("req_1", None, "internal_error"), ("req_2", 4, "")]


async def test_a_subject_that_is_gone_fails_its_own_judgement(sessions: Sessions) -> None:
    await begin(sessions, 6)
    async with at_work(worker(sessions, "w")):
        run = await ended(sessions)
    assert (run.done, run.failed) == (6, 1)
    assert (await marks(sessions))[5] == ("req_5", None, "not_found")


async def test_a_run_that_is_cancelled_elsewhere_is_let_go_of(sessions: Sessions) -> None:
    await begin(sessions, 2)
    one = worker(sessions, "w", hangs=True)
    async with at_work(one):
        await one.replays.is_asked.wait()
        assert await StoredRuns(sessions).cancel(RUN) is not None
        one.replays.hangs = False
        async with asyncio.timeout(10):
            while one.runs.under_way:  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.02)
    assert one.scores.scores == []
    assert {one.status for one in await StoredRuns(sessions).judgements(RUN, after=None, limit=9)} == {Status.CANCELLED}
