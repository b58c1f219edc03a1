"""What the endpoints of evidence are given by the composition root. Values and callables only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from junto.evals.compare import Comparison
    from junto.evals.exporting import Datasets
    from junto.evals.judges import Judges
    from junto.evals.links import Links
    from junto.evals.proposals import Proposals
    from junto.evals.review import Review
    from junto.evals.scoring import Scoring
    from junto.ports.shadows import ShadowPages


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that these endpoints use beside WebServices."""

    shadows: ShadowPages
    scoring: Scoring
    links: Links
    review: Review
    judges: Judges
    comparison: Comparison
    proposals: Proposals
    datasets: Datasets
