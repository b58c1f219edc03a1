"""Assembles judges: one judgement that is waited for, and the runs that go on in the background."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from junto.core.ids import record_id
from junto.evals.cases import Cases
from junto.evals.judge_runs import JudgeRuns
from junto.evals.judges import Judges
from junto.evals.judging import Judging
from junto.evals.jurors import Bench
from junto.storage.repositories.judge_runs import StoredRuns
from junto.storage.repositories.judging import StoredJudgements
from junto.telemetry.judges import JudgeMetrics

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from junto.bootstrap.node import Node
    from junto.evals.judge_runs import JudgePace
    from junto.evals.standing import StandingOf
    from junto.ports.clock import Clock
    from junto.ports.replays import Replays
    from junto.ports.scores import ScoreStore
    from junto.ports.subjects import SubjectStore


def open_judges(  # noqa: PLR0917  what it is made of
    node: Node,
    clock: Clock,
    stack: AsyncExitStack,
    replays: Replays,
    standing: StandingOf,
    subjects: SubjectStore,
    scores: ScoreStore,
    pace: JudgePace,
) -> Judges:
    """Judges at work until the stack is closed; opened after what they ask, so that they stop before it."""

    def make_id(kind: str) -> str:
        return record_id(kind, clock.wall_ms(), secrets.randbits(52))

    judgements, runs = StoredJudgements(node.storage.sessions), StoredRuns(node.storage.sessions)
    judging = Judging(replays, Bench(lambda: node.operation.current.runtime.snapshot))
    cases = Cases(subjects, standing)
    metrics = JudgeMetrics()
    node.observing.add_families(metrics.families)
    background = JudgeRuns(runs, judgements, judging=judging, cases=cases, clock=clock, worker=node.id, pace=pace)
    judges = Judges(
        judging,
        cases,
        judgements=judgements,
        runs=runs,
        scores=scores,
        observer=metrics,
        make_id=make_id,
        wake=background.wake,
        drop=background.drop,
    )
    background.start(judges)
    stack.push_async_callback(background.stop)
    return judges
