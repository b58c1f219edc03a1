"""Councils as deployments: names that a caller can ask for like any model, answered in this process. Pure but for the live facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.sensitivity import Locality
from junto.routing.facts import COUNCIL, DeploymentFacts

if TYPE_CHECKING:
    from junto.catalog.board import LiveBoard

PREFIX: Final = "council/"
_ABLE: Final = Capability.CHAT | Capability.VISION | Capability.JSON_SCHEMA | Capability.REASONING


def council_of(template: str, board: LiveBoard) -> DeploymentFacts:
    """The deployment of one template. It is local and free: where its members are, and what they cost, is theirs."""
    name = PREFIX + template
    return DeploymentFacts(
        backend=COUNCIL,
        model=name,
        upstream_model=template,
        provider=COUNCIL,
        locality=Locality.LOCAL,
        operations=frozenset({Operation.CHAT}),
        capabilities=_ABLE,
        is_composed=True,
        live=board.deployment(f"{COUNCIL}/{name}"),
        backend_live=board.backend(COUNCIL),
    )
