"""Proposals to change a route, as evals ask storage for them; and what storage knows of answers to the same request. Values and Protocols.

Every change of a proposal's status says which one it had: who comes second changes nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class ProposalStatus(StrEnum):
    """Where a proposal stands. Only the first two are not ends."""

    OPEN = "open"
    CANARY = "canary"  # accepted for a share of the requests
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"  # the route was changed meanwhile
    STOPPED = "stopped"  # the canary was worse


LIVE = (ProposalStatus.OPEN, ProposalStatus.CANARY)
DECIDED = (ProposalStatus.ACCEPTED, ProposalStatus.REJECTED, ProposalStatus.STOPPED)


class Trio(msgspec.Struct, frozen=True):
    """A task, the model that its route prefers, and one that would take its place; as the route names them."""

    task_type: str
    incumbent: str
    candidate: str


class NewProposal(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal to be written down; `route_version` is the version that it would change, `evidence` figures as plain JSON values.

    `tried` is how often it was decided about that candidate before: whoever was rejected may be proposed again for the same version.
    """

    id: str
    trio: Trio
    route_version: int
    evidence: dict[str, Any]
    tried: int = 0
    status: ProposalStatus = ProposalStatus.OPEN
    reason: str = ""
    new_version: int = 0


class Proposal(NewProposal, frozen=True, kw_only=True):
    """A proposal as it stands; `new_version` is that of the route that came of it, 0 where there is none."""

    decided_by: str
    created_ms: int
    updated_ms: int
    decided_ms: int | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a proposal; `by` is whoever decided, "" where nobody did. None leaves what is there."""

    status: ProposalStatus
    reason: str = ""
    by: str = ""
    new_version: int | None = None
    evidence: dict[str, Any] | None = None


class Past(msgspec.Struct, frozen=True):
    """How often it was decided about a trio, and when last (0: never); superseded proposals do not count."""

    times: int = 0
    last_ms: int = 0


class ProposalStore(Protocol):
    """Keeps proposals; they are the operator's. All raise core.errors.Overloaded while the database is away."""

    async def add(self, proposal: NewProposal) -> bool:
        """Write it down; False where that version of the route has one of that trio after as many decisions."""

    async def find(self, proposal_id: str) -> Proposal | None:
        """One proposal."""

    async def of_version(self, trio: Trio, route_version: int) -> Proposal | None:
        """The latest proposal of that trio for that version of the route."""

    async def live(self) -> Sequence[Proposal]:
        """All that are open or in a canary, oldest first."""

    async def page(
        self, *, task_type: str | None, status: ProposalStatus | None, before: str | None, limit: int
    ) -> Sequence[Proposal]:
        """Those that match, newest first; `before` is the id of the last one of the page before."""

    async def change(self, proposal: Proposal, change: Change) -> bool:
        """Change it; False where its status is another one by now."""

    async def note(self, proposal: Proposal, evidence: dict[str, Any]) -> bool:
        """Put newer evidence in; False where its status is another one by now."""

    async def past(self, trio: Trio) -> Past:
        """What was decided about it before."""

    async def take_turn(self, *, every_ms: int) -> bool:
        """Whether it is this node's turn to look: only one of them has it, and none again before that time is over."""


class PairQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which pairs of answers: of shadows of `candidate` made from `since_ms` on, whose callers got an answer of `incumbents`."""

    task_type: str
    candidate: str
    incumbents: Collection[str]
    since_ms: int


class PairStore(Protocol):
    """Reads what raters said about a shadow and about its source. Raises core.errors.Overloaded while the database is away."""

    async def differences(self, query: PairQuery) -> tuple[int, ...]:
        """How many pairs have which difference, -4 to 4: the shadow's score less its source's, by the same rater; each pair once.

        Where several raters scored both, an administrator comes before a panel of judges, and that one before a judge.
        """
