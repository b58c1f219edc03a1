"""Puts proposals together: the evidence in the database, the gate, and the look that is taken at both every minute."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from junto.catalog.candidates import models_behind
from junto.core.ids import record_id
from junto.evals.promoting import EVERY_SECONDS, Promoting
from junto.evals.proposals import Proposals
from junto.evals.weighing import Weigher
from junto.storage.repositories.figures import StoredFigures
from junto.storage.repositories.proposals import StoredPairs, StoredProposals
from junto.storage.repositories.scores import StoredScores

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from junto.bootstrap.node import Given, Node
    from junto.catalog.resolve import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProposals:
    """What the doors use, and what looks by itself."""

    proposals: Proposals
    promoting: Promoting


def open_proposals(
    given: Given, node: Node, stack: AsyncExitStack, *, every: float | None = EVERY_SECONDS
) -> OpenProposals:
    """At work until the stack is closed; with `every` None it looks only when it is told to."""
    sessions, clock = node.storage.sessions, given.clock

    def snapshot() -> Snapshot:
        return node.operation.current.runtime.snapshot

    def models_of(name: str) -> frozenset[str]:
        return models_behind(snapshot(), name)

    def make_id() -> str:
        return record_id("prp", clock.wall_ms(), secrets.randbits(52))

    store = StoredProposals(sessions)
    weigher = Weigher(
        figures=StoredFigures(sessions),
        scores=StoredScores(sessions),
        pairs=StoredPairs(sessions),
        models_of=models_of,
    )
    proposals = Proposals(store, node.routing.book, weigher, snapshot=snapshot)
    promoting = Promoting(proposals, store, node.routing.book, make_id=make_id, every=every or EVERY_SECONDS)
    if every is not None:
        promoting.start()
        stack.push_async_callback(promoting.stop)
    return OpenProposals(proposals=proposals, promoting=promoting)
