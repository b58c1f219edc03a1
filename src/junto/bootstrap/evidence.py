"""Assembles what is known of models: subjects, scores, score links, reviews, figures and their comparison."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from junto.bootstrap.webhooks import server_secret
from junto.core.ids import record_id
from junto.evals.compare import Comparison
from junto.evals.links import Links
from junto.evals.pair_ids import PairIds
from junto.evals.review import Review
from junto.evals.scoring import Scoring
from junto.storage.folding import answer_folder
from junto.storage.repositories.figures import StoredFigures
from junto.storage.repositories.scores import StoredLinks, StoredReviews, StoredScores
from junto.storage.repositories.subjects import StoredSubjects
from junto.web.services import Evidence
from junto.web.wires import INFERENCE

if TYPE_CHECKING:
    from junto.ports.clock import Clock
    from junto.settings.model import Settings
    from junto.storage.sessions import Sessions


def open_evidence(settings: Settings, sessions: Sessions, clock: Clock) -> Evidence:
    """All of it; nothing of it works in the background."""

    def make_id(kind: str) -> str:
        return record_id(kind, clock.wall_ms(), secrets.randbits(52))

    wires = {wire.name: wire for wire in INFERENCE.values()}
    subjects = StoredSubjects(sessions, wires=wires, fold_answer=answer_folder(wires))
    scores, figures = StoredScores(sessions), StoredFigures(sessions)
    scoring = Scoring(subjects, scores, make_id=make_id)
    return Evidence(
        subjects=subjects,
        scores=scores,
        figures=figures,
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
        comparison=Comparison(figures, scores, clock),
    )
