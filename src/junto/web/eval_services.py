"""What the endpoints of evidence are given by the composition root. Values and callables only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from junto.evals.judges import Judges
    from junto.evals.proposals import Proposals
    from junto.ports.shadows import ShadowPages


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalServices:
    """Everything that these endpoints use beside WebServices."""

    shadows: ShadowPages
    proposals: Proposals
    judges: Judges
