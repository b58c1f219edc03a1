"""Assembles what the doors use of evidence: what works in the background, and what only reads and writes. Nothing here is at work."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from junto.bootstrap.webhooks import server_secret
from junto.core.ids import record_id
from junto.evals.compare import Comparison
from junto.evals.exporting import Datasets
from junto.evals.links import Links
from junto.evals.pair_ids import PairIds
from junto.evals.review import Review
from junto.evals.scoring import Scoring
from junto.storage.folding import answer_folder
from junto.storage.repositories.datasets import StoredDatasets
from junto.storage.repositories.figures import StoredFigures
from junto.storage.repositories.scores import StoredLinks, StoredReviews, StoredScores
from junto.storage.repositories.shadows_rows import StoredShadowPages
from junto.storage.repositories.subjects import StoredSubjects
from junto.web.evidence import Evidence
from junto.web.wires import INFERENCE

if TYPE_CHECKING:
    from junto.bootstrap.evals import EvalParts
    from junto.bootstrap.node import Node
    from junto.ports.clock import Clock
    from junto.settings.model import Settings


def evidence_of(settings: Settings, node: Node, clock: Clock, evals: EvalParts) -> Evidence:
    """All of it, for the doors of a node."""

    def make_id(kind: str) -> str:
        return record_id(kind, clock.wall_ms(), secrets.randbits(52))

    sessions = node.storage.sessions
    wires = {wire.name: wire for wire in INFERENCE.values()}
    subjects = StoredSubjects(sessions, wires=wires, fold_answer=answer_folder(wires))
    scores = StoredScores(sessions)
    scoring = Scoring(subjects, scores, make_id=make_id)
    return Evidence(
        shadows=StoredShadowPages(sessions),
        judges=evals.judges,
        proposals=evals.proposals.proposals,
        scoring=scoring,
        links=Links(
            StoredLinks(sessions), scoring, subjects, make_id=make_id, make_token=partial(secrets.token_urlsafe, 32)
        ),
        review=Review(
            StoredReviews(sessions),
            subjects,
            scores,
            pair_ids=PairIds(server_secret(settings.data_dir, settings.secrets_key)),
            make_id=make_id,
        ),
        comparison=Comparison(StoredFigures(sessions), scores, clock),
        datasets=Datasets(
            StoredDatasets(sessions),
            subjects,
            clock,
            # A reload of the settings changes what may leave with the next one.
            allows_confidential=lambda: node.operation.settings.evals.datasets_confidential,
        ),
    )
