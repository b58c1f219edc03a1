"""Puts together what works on evidence in the background: replays over this node's pipeline, shadows, judges, proposals.

What the doors use of it is put together in bootstrap/evidence.py.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from junto.bootstrap.ids import id_maker
from junto.bootstrap.judges import open_judges
from junto.bootstrap.proposals import OpenProposals, open_proposals
from junto.core.ids import record_id
from junto.evals.choosing import Choosing
from junto.evals.judge_runs import JudgePace
from junto.evals.promoting import EVERY_SECONDS
from junto.evals.shadowing import Pace, Shadowing
from junto.evals.standing import Standing
from junto.gateway.replays import PipelineReplays
from junto.storage.folding import answer_folder
from junto.storage.repositories.scores import StoredScores
from junto.storage.repositories.shadows import StoredShadowWork
from junto.storage.repositories.subjects import StoredSubjects
from junto.telemetry.shadows import ShadowMetrics
from junto.web.wires import INFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from junto.bootstrap.node import Given, Node
    from junto.evals.judges import Judges
    from junto.evals.standing import StandingOf
    from junto.ports.clock import Clock
    from junto.settings.model import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """What a test brings along: how long things take."""

    shadows: Pace = field(default_factory=Pace)
    judges: JudgePace = field(default_factory=JudgePace)
    proposals_every: float | None = EVERY_SECONDS  # None: only when they are told to


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalParts:
    """What the doors use, and what tests look at."""

    judges: Judges
    replays: PipelineReplays
    standing: StandingOf
    shadowing: Shadowing
    proposals: OpenProposals


async def open_evals(
    settings: Settings, given: Given, node: Node, stack: AsyncExitStack, *, options: EvalOptions | None = None
) -> EvalParts:
    """Everything of evidence, at work until the stack is closed. From here on exchanges are carried to the database, too."""
    options = options or EvalOptions()
    replays = replays_of(given, node)
    standing = standing_of(node)
    shadowing = _open_shadows(settings, given, node, stack, replays, standing, options.shadows)
    judges = _open_judges(given, node, stack, replays, standing, options.judges)
    proposals = open_proposals(given, node, stack, every=options.proposals_every)
    return EvalParts(
        judges=judges,
        replays=replays,
        standing=standing,
        shadowing=shadowing,
        proposals=proposals,
    )


def replays_of(given: Given, node: Node) -> PipelineReplays:
    """Replays over the node's own pipeline."""
    return PipelineReplays(
        node.pipeline,
        node.operation.current,
        wires={wire.name: wire for wire in INFERENCE.values()},
        clock=given.clock,
        make_id=id_maker(given.clock),
    )


def standing_of(node: Node) -> StandingOf:
    """What clients allow, as the keyring and the settings in force have it; whoever asked without a client is the open one."""

    def standing(client_id: str, tenant_id: str) -> Standing:
        if not client_id:
            guest = node.operation.authenticator.open_client
            return Standing(allow_cloud=guest.allow_cloud_for_internal, floor=guest.min_sensitivity)
        known = node.identity.keyring.acting(client_id, tenant_id)
        if known is None or known.refusal:
            return Standing(refused=True)
        principal = known.principal
        return Standing(allow_cloud=principal.allow_cloud_for_internal, floor=principal.min_sensitivity)

    return standing


def eval_ids(clock: Clock, kind: str) -> Callable[[], str]:
    """Makes ids of one kind of thing."""
    return lambda: record_id(kind, clock.wall_ms(), secrets.randbits(52))


def _open_shadows(  # noqa: PLR0917  what it is made of
    settings: Settings,
    given: Given,
    node: Node,
    stack: AsyncExitStack,
    replays: PipelineReplays,
    standing: StandingOf,
    pace: Pace,
) -> Shadowing:
    metrics = ShadowMetrics()
    node.observing.add_families(metrics.families)
    shadowing = Shadowing(
        StoredShadowWork(node.storage.sessions),
        replays,
        routes=lambda: node.routing.routes.table,
        standing=standing,
        observer=metrics,
        clock=given.clock,
        make_id=id_maker(given.clock),
        worker=node.id,
        is_alone=settings.database_url is None,
        pace=pace,
    )
    node.storage.intake.attach(
        Choosing(
            routes=lambda: node.routing.routes.table,
            replays=replays,
            standing=standing,
            observer=metrics,
            make_id=eval_ids(given.clock, "shd"),
            wake=shadowing.wake,
        )
    )
    node.storage.start_flushing()
    shadowing.start()
    stack.push_async_callback(shadowing.stop)
    return shadowing


def _open_judges(  # noqa: PLR0917  what it is made of
    given: Given,
    node: Node,
    stack: AsyncExitStack,
    replays: PipelineReplays,
    standing: StandingOf,
    pace: JudgePace,
) -> Judges:
    sessions, wires = node.storage.sessions, {wire.name: wire for wire in INFERENCE.values()}
    subjects = StoredSubjects(sessions, wires=wires, fold_answer=answer_folder(wires))
    return open_judges(node, given.clock, stack, replays, standing, subjects, StoredScores(sessions), pace)
