"""What Junto does by itself: proposes what clears the gate, stops a canary that is worse, and goes on where a route's `auto` says so.

One node looks at a time, every minute; each step is guarded by the version of the route and the status of the proposal, so that two that
look at once do no harm. A database that is away is tried again at the next turn.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import Conflict, JuntoError, Overloaded
from junto.evals.changes import reconciled, with_canary, without_canary
from junto.evals.gate import worsened
from junto.evals.proposals import trios_of
from junto.ports.proposals import Change, NewProposal, ProposalStatus
from junto.routing.evidence import Auto

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.catalog.route_book import RouteBook
    from junto.evals.proposals import Proposals, Weighed
    from junto.ports.proposals import Proposal, ProposalStore, Trio
    from junto.routing.routes import Route

AUTHOR: Final = "evidence"
EVERY_SECONDS: Final = 60.0
_TURN_MS: Final = 900  # of each second: a node that wakes up a little early finds its turn


class Promoting:
    """One for a process."""

    def __init__(
        self,
        proposals: Proposals,
        store: ProposalStore,
        book: RouteBook,
        *,
        make_id: Callable[[], str],
        every: float = EVERY_SECONDS,
    ) -> None:
        self._proposals = proposals
        self._store = store
        self._book = book
        self._make_id = make_id
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Look in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="junto-proposals")

    async def stop(self) -> None:
        """Look no more; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self) -> None:
        """One look at every route that has candidates; raises Overloaded when the database is away."""
        routes = await self._book.all()
        await self._reconcile(routes)
        for route in routes:
            if route.canary is None and not route.shadow_models:
                continue
            try:
                await (self._candidates(route) if route.canary is None else self._canary(route))
            except Overloaded:
                raise
            except Conflict:
                continue  # somebody changed the route: the next look is about the new one
            except JuntoError as error:
                self._log.warning("proposals.failed", task_type=route.task_type, code=error.code)

    async def _run(self) -> None:
        while True:
            try:
                if await self._store.take_turn(every_ms=int(self._every * _TURN_MS)):
                    await self.look()
            except Overloaded:
                pass
            except Exception as error:  # noqa: BLE001  one bad look must not be the last one
                self._log.error("proposals.broken", error=type(error).__name__)
            await asyncio.sleep(self._every)

    async def _reconcile(self, routes: Sequence[Route]) -> None:
        """Proposals whose route was changed by others."""
        by_task = {route.task_type: route for route in routes}
        for proposal in await self._store.live():
            change = reconciled(proposal, by_task.get(proposal.trio.task_type))
            if change is not None:
                await self._store.change(proposal, change)

    async def _candidates(self, route: Route) -> None:
        for trio in trios_of(route):
            weighed = await self._proposals.weigh(route, trio)
            proposal = await self._proposed(weighed)
            if proposal is not None and weighed.cleared and route.gate.auto is not Auto.OFF:
                await self._begin(proposal, route)
                return

    async def _proposed(self, weighed: Weighed) -> Proposal | None:
        """The open proposal with what is known now, made where there is none and the gate is cleared."""
        trio, version = weighed.trio, weighed.route_version
        proposal = await self._store.of_version(trio, version)
        if proposal is not None and proposal.status is ProposalStatus.OPEN:
            await self._note(proposal, weighed)
            return proposal
        if not weighed.cleared:
            return None
        # Was it decided about since it was weighed, there is one after as many decisions, and no other is made.
        new = NewProposal(
            id=self._make_id(), trio=trio, route_version=version, evidence=weighed.document, tried=weighed.tried
        )
        if await self._store.add(new):
            self._tell("proposals.made", trio, version=version)
        made = await self._store.of_version(trio, version)
        return made if made is not None and made.status is ProposalStatus.OPEN else None

    async def _begin(self, proposal: Proposal, route: Route) -> None:
        share = route.gate.canary_share
        changed = with_canary(route, proposal.trio.candidate, share)
        change = Change(
            status=ProposalStatus.CANARY, reason=f"Begun by itself for {share:.1%} of the requests.", by=AUTHOR
        )
        await self._proposals.carry_out(proposal, route, changed, change)
        self._tell("proposals.canary", proposal.trio, share=share)

    async def _canary(self, route: Route) -> None:
        (trio,) = trios_of(route)
        proposal = await self._of_canary(route, trio)
        if proposal is None:
            return
        weighed = await self._proposals.weigh(route, trio)
        reason = await asyncio.to_thread(worsened, route.gate, weighed.seen)
        if reason is not None:
            stopped = Change(status=ProposalStatus.STOPPED, reason=reason, by=AUTHOR, evidence=weighed.document)
            await self._proposals.carry_out(proposal, route, without_canary(route), stopped)
            self._tell("proposals.stopped", trio, reason=reason)
        elif weighed.cleared and route.gate.auto is Auto.PROMOTE:
            promoted = self._proposals.promotion(route, trio)
            change = Change(
                status=ProposalStatus.ACCEPTED,
                reason="The gate held again in the canary.",
                by=AUTHOR,
                evidence=weighed.document,
            )
            await self._proposals.carry_out(proposal, route, promoted, change)
            self._tell("proposals.promoted", trio)
        else:
            await self._note(proposal, weighed)

    async def _of_canary(self, route: Route, trio: Trio) -> Proposal | None:
        """The proposal that a canary came of; a canary that somebody wrote into the route has one made for it."""
        live = [each for each in await self._store.live() if each.trio == trio]
        found = next((each for each in live if each.status is ProposalStatus.CANARY), None)
        if found is not None:
            return found
        begun = NewProposal(
            id=self._make_id(),
            trio=trio,
            route_version=route.version,
            evidence={},
            status=ProposalStatus.CANARY,
            reason="Begun by a change of the route.",
            new_version=route.version,
        )
        return await self._store.of_version(trio, route.version) if await self._store.add(begun) else None

    async def _note(self, proposal: Proposal, weighed: Weighed) -> None:
        if proposal.evidence != weighed.document:
            await self._store.note(proposal, weighed.document)

    def _tell(self, event: str, trio: Trio, **more: object) -> None:
        self._log.info(event, task_type=trio.task_type, incumbent=trio.incumbent, candidate=trio.candidate, **more)
