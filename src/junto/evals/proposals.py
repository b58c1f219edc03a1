"""Proposals as people meet them: what the gate says of each candidate, accepting, rejecting.

Owns the steps of a decision; the figures are weighing.py's, the gate is gate.py's, what Junto does by itself promoting.py's. Every
change of a route goes through the route book, guarded by the version that it is about.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from junto.catalog.candidates import serves_everybody, why_not
from junto.core.errors import Conflict, NotFound
from junto.evals.changes import (
    begun_ms,
    has_canary,
    is_shadowed,
    promoted,
    reconciled,
    with_canary,
    without_canary,
)
from junto.evals.gate import examine, level_of
from junto.evals.weighing import shown
from junto.ports.proposals import LIVE, Change, ProposalStatus, Trio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.catalog.resolve import Snapshot
    from junto.catalog.route_book import RouteBook
    from junto.evals.gate import Evidence
    from junto.evals.weighing import Weigher
    from junto.ports.proposals import Proposal, ProposalStore
    from junto.routing.routes import Route

_VERSIONS = 200  # how far back a route's history is looked at


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a candidate now, and whether it clears the gate. `tried`: how often it was decided about it before."""

    trio: Trio
    route_version: int
    tried: int
    cleared: bool
    document: dict[str, Any]
    seen: Evidence


class Proposals:
    """Shows and decides. All raise core.errors.Overloaded while the database is away."""

    def __init__(
        self, store: ProposalStore, book: RouteBook, weigher: Weigher, *, snapshot: Callable[[], Snapshot]
    ) -> None:
        self._store = store
        self._book = book
        self._weigher = weigher
        self._snapshot = snapshot

    async def page(
        self, *, task_type: str | None, status: ProposalStatus | None, before: str | None, limit: int
    ) -> Sequence[Proposal]:
        """Proposals, newest first."""
        return await self._store.page(task_type=task_type, status=status, before=before, limit=limit)

    async def get(self, proposal_id: str) -> Proposal:
        """One of them; raises NotFound."""
        found = await self._store.find(proposal_id)
        if found is None:
            raise NotFound("There is no such proposal.")
        return found

    async def candidates(self, task_type: str | None) -> list[Weighed]:
        """What the gate says of each shadow model now, of one task or of all; raises NotFound for a task without a route."""
        if task_type is None:
            routes: Sequence[Route] = await self._book.all()
        else:
            route = (await self._book.get(task_type)).route
            routes = () if route is None else (route,)
        return [await self.weigh(route, trio) for route in routes for trio in trios_of(route)]

    async def weigh(self, route: Route, trio: Trio) -> Weighed:
        """What is known of a candidate since it became one, or since it was decided about; in a canary, since that began."""
        in_canary = has_canary(trio, route)
        versions = await self._book.history(route.task_type, before=None, limit=_VERSIONS)
        past = await self._store.past(trio)
        if in_canary:
            since, level = begun_ms(versions, lambda each: has_canary(trio, each)), 1.0 - route.gate.confidence
        else:
            since = max(begun_ms(versions, lambda each: is_shadowed(trio, each)), past.last_ms)
            level = level_of(route.gate, candidates=len(route.shadow_models), tried=past.times)
        seen = await self._weigher.weigh(trio, since_ms=since, in_canary=in_canary)
        refusal = why_not(self._snapshot(), route, trio.candidate)
        # Some milliseconds of arithmetic: beside the event loop, which others wait for.
        examined = await asyncio.to_thread(examine, route.gate, seen, level=level, refusal=refusal)
        document = shown(route.gate, seen, examined, level=level, since_ms=since)
        return Weighed(
            trio=trio,
            route_version=route.version,
            tried=past.times,
            cleared=examined.cleared,
            document=document,
            seen=seen,
        )

    async def accept(self, proposal_id: str, *, author: str, canary_share: float | None = None) -> Proposal:
        """Let the candidate take the route over, or a share of its requests; raises NotFound, and Conflict where that is over."""
        proposal = await self._live(proposal_id)
        route = await self._route_of(proposal)
        refusal = why_not(self._snapshot(), route, proposal.trio.candidate)
        if refusal is not None:
            raise Conflict(refusal)
        if canary_share is not None:
            changed, status = with_canary(route, proposal.trio.candidate, canary_share), ProposalStatus.CANARY
            reason = f"Accepted for {canary_share:.1%} of the requests."
        else:
            changed, status, reason = self.promotion(route, proposal.trio), ProposalStatus.ACCEPTED, "Accepted."
        return await self.carry_out(proposal, route, changed, Change(status=status, reason=reason, by=author))

    async def reject(self, proposal_id: str, *, author: str, reason: str = "") -> Proposal:
        """Turn a proposal down; a canary of it ends. Raises NotFound, and Conflict where that is over."""
        proposal = await self._live(proposal_id)
        change = Change(status=ProposalStatus.REJECTED, reason=reason or "Rejected.", by=author)
        if proposal.status is ProposalStatus.CANARY:
            route = await self._route_of(proposal)
            return await self.carry_out(proposal, route, without_canary(route), change)
        return await self._changed(proposal, change)

    def promotion(self, route: Route, trio: Trio) -> Route:
        """The route with the candidate in the incumbent's place."""
        everybody = serves_everybody(self._snapshot(), route, trio.candidate)
        return promoted(route, trio.candidate, keeps_incumbent=not everybody)

    async def carry_out(self, proposal: Proposal, route: Route, changed: Route, change: Change) -> Proposal:
        """Save the changed route as the version after that one, and the proposal as decided; raises Conflict."""
        try:
            saved = await self._book.save(changed, author=change.by, expected=route.version)
        except Conflict:
            raise await self._overtaken(proposal) from None
        # Whoever dies here leaves a route that tells the next look what was decided (changes.reconciled).
        version = saved.saved.version
        return await self._changed(proposal, msgspec.structs.replace(change, new_version=version))

    async def _live(self, proposal_id: str) -> Proposal:
        proposal = await self.get(proposal_id)
        if proposal.status not in LIVE:
            raise Conflict(f"This proposal is {proposal.status.value} already. {proposal.reason}".rstrip())
        return proposal

    async def _route_of(self, proposal: Proposal) -> Route:
        """The route as the proposal is about it; raises Conflict, and has it superseded, where it is another one by now."""
        route = await self._in_force(proposal)
        if route is None or reconciled(proposal, route) is not None:
            raise await self._overtaken(proposal)
        return route

    async def _in_force(self, proposal: Proposal) -> Route | None:
        try:
            return (await self._book.get(proposal.trio.task_type)).route
        except NotFound:
            return None

    async def _overtaken(self, proposal: Proposal) -> Conflict:
        """What to tell whoever comes after somebody else's change of the route; the proposal follows that."""
        change = reconciled(proposal, await self._in_force(proposal))
        if change is not None:
            await self._store.change(proposal, change)
        return Conflict("The route was changed since; look at what is proposed for it now.")

    async def _changed(self, proposal: Proposal, change: Change) -> Proposal:
        if await self._store.change(proposal, change):
            return await self.get(proposal.id)
        now = await self.get(proposal.id)
        # Whoever looked in between has seen the new route, and knows all of it but who decided.
        is_ours = (now.status, now.new_version) == (change.status, change.new_version)
        if not is_ours or not await self._store.change(now, change):
            raise Conflict("Somebody else has decided about this proposal meanwhile.")
        return await self.get(proposal.id)


def trios_of(route: Route) -> list[Trio]:
    """Every candidate of a route beside its incumbent; during a canary only the one in it."""
    if route.canary is not None:
        return [Trio(route.task_type, route.preferred_model, route.canary.model)]
    return [
        Trio(route.task_type, route.preferred_model, shadow.model)
        for shadow in route.shadow_models
        if shadow.model != route.preferred_model
    ]
