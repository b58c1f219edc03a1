"""What Junto does by itself with evidence: never twice, never beyond what a route's `auto` says, and nothing is lost in between."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from junto.catalog.route_book import RouteBook
from junto.catalog.tasks import Routes
from junto.core.errors import Conflict, Overloaded
from junto.core.sensitivity import Sensitivity
from junto.evals.gate import Arm, Evidence
from junto.evals.promoting import Promoting
from junto.evals.proposals import Proposals
from junto.ports.proposals import DECIDED, LIVE, NewProposal, Past, Proposal, ProposalStatus
from junto.ports.routes import RouteVersion
from junto.routing.evidence import Auto, EvidenceGate
from junto.routing.routes import Route, ShadowModel
from tests.unit.catalog.specs import ollama, probe, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.evals.weighing import Weigher
    from junto.ports.proposals import Change, Trio

pytestmark = pytest.mark.anyio

CATALOG = snapshot(ollama("desk"), found={"desk": probe("dear", "cheap", "third")})
CHEAP = Arm(attempts=400, failures=2, answers=398, cost_nano=398 * 200_000)
DEAR = Arm(attempts=2_000, failures=20, answers=1_980, cost_nano=1_980 * 1_000_000)
GOOD = Evidence(candidate=CHEAP, incumbent=DEAR, differences=(0, 0, 0, 15, 100, 25, 0, 0, 0))
BAD = replace(GOOD, differences=(0, 0, 60, 60, 20, 0, 0, 0, 0))
NOTHING = Evidence(candidate=Arm(), incumbent=Arm())


class StoredRoutes:
    """Implements RouteStore in memory; its clock goes on by a second with each save."""

    def __init__(self) -> None:
        self.versions: list[RouteVersion] = []

    async def in_force(self) -> list[Route]:
        newest = {one.task_type: one.route for one in self.versions}
        return [route for route in newest.values() if route is not None]

    async def find(self, task_type: str, version: int | None = None) -> RouteVersion | None:
        found = [one for one in self.versions if one.task_type == task_type and version in {None, one.version}]
        return found[-1] if found else None

    async def history(self, task_type: str, *, before: int | None, limit: int) -> list[RouteVersion]:
        return [one for one in reversed(self.versions) if one.task_type == task_type][:limit]

    async def save(self, task_type: str, route: Route | None, *, author: str, expected: int | None) -> RouteVersion:
        last = await self.find(task_type)
        number = 0 if last is None else last.version
        if expected is not None and expected != number:
            raise Conflict("The route is at another version.")
        kept = None if route is None else replace(route, version=number + 1)
        saved = RouteVersion(
            task_type=task_type,
            version=number + 1,
            route=kept,
            author=author,
            created_ms=1_000 * (len(self.versions) + 1),
        )
        self.versions.append(saved)
        return saved


class StoredProposals:
    """Implements ProposalStore in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Proposal] = {}
        self.dies = False  # at the next change, as a process would

    async def add(self, proposal: NewProposal) -> bool:
        key = (proposal.trio, proposal.route_version, proposal.tried)
        if any((one.trio, one.route_version, one.tried) == key for one in self.kept.values()):
            return False
        fields = {name: getattr(proposal, name) for name in proposal.__struct_fields__}
        self.kept[proposal.id] = Proposal(**fields, decided_by="", created_ms=1, updated_ms=1, decided_ms=None)
        return True

    async def find(self, proposal_id: str) -> Proposal | None:
        return self.kept.get(proposal_id)

    async def of_version(self, trio: Trio, route_version: int) -> Proposal | None:
        its = [one for one in self.kept.values() if (one.trio, one.route_version) == (trio, route_version)]
        return max(its, key=lambda one: one.tried, default=None)

    async def live(self) -> Sequence[Proposal]:
        return [one for one in self.kept.values() if one.status in LIVE]

    async def page(self, **_: Any) -> Sequence[Proposal]:
        return list(self.kept.values())

    async def change(self, proposal: Proposal, change: Change) -> bool:
        if self.dies:
            self.dies = False
            raise Overloaded("gone")
        now = self.kept[proposal.id]
        if now.status is not proposal.status:
            return False
        self.kept[proposal.id] = replace(
            now,
            status=change.status,
            reason=change.reason,
            decided_by=change.by,
            new_version=now.new_version if change.new_version is None else change.new_version,
            evidence=now.evidence if change.evidence is None else change.evidence,
            decided_ms=77_000,
        )
        return True

    async def note(self, proposal: Proposal, evidence: dict[str, Any]) -> bool:
        self.kept[proposal.id] = replace(self.kept[proposal.id], evidence=evidence)
        return True

    async def past(self, trio: Trio) -> Past:
        times = sum(one.trio == trio and one.status in DECIDED for one in self.kept.values())
        return Past(times, 77_000 if times else 0)

    async def take_turn(self, *, every_ms: int) -> bool:
        return True


class Known:
    """In a Weigher's place: what is known of each candidate is what a test says; `asked` is since when it was wanted."""

    def __init__(self) -> None:
        self.seen: dict[str, Evidence] = {}
        self.asked: list[int] = []

    async def weigh(self, trio: Trio, *, since_ms: int, in_canary: bool = False) -> Evidence:
        self.asked.append(since_ms)
        await asyncio.sleep(0)  # as a database would, it lets others in between
        return self.seen.get(trio.candidate, NOTHING)


class Office:
    """All of it over one database, as one or two nodes have it."""

    def __init__(self) -> None:
        self.routes, self.store, self.known = StoredRoutes(), StoredProposals(), Known()
        self.ids = (f"prp_{number}" for number in count(1))

        async def announce() -> None:
            """Nobody else listens."""

        self.book = RouteBook(self.routes, Routes(), snapshot=lambda: CATALOG, announce=announce)
        weigher = cast("Weigher", self.known)
        self.proposals = Proposals(self.store, self.book, weigher, snapshot=lambda: CATALOG)

    def node(self) -> Promoting:
        return Promoting(self.proposals, self.store, self.book, make_id=lambda: next(self.ids))

    async def route(self, auto: Auto = Auto.OFF, *shadows: str, **more: Any) -> None:
        route = Route(
            task_type="mail",
            preferred_model="dear",
            sensitivity=Sensitivity.CONFIDENTIAL,
            shadow_models=tuple(ShadowModel(model=name, rate=0.5) for name in (shadows or ("cheap",))),
            evidence=EvidenceGate(auto=auto, canary_share=0.2),
            **more,
        )
        await self.book.save(route, author="ada", expected=None)

    @property
    def now(self) -> Route:
        found = self.routes.versions[-1].route
        assert found is not None
        return found

    @property
    def states(self) -> list[str]:
        return [one.status.value for one in self.store.kept.values()]


async def test_nothing_changes_by_itself_where_nobody_turned_that_on() -> None:
    office = Office()
    await office.route()
    await office.node().look()
    assert office.states == []
    office.known.seen["cheap"] = GOOD
    for _ in range(3):
        await office.node().look()
    assert office.states == ["open"]
    assert office.now.version == 1


async def test_two_nodes_that_look_at_once_make_one_proposal_and_one_canary() -> None:
    office = Office()
    await office.route(Auto.PROMOTE)
    office.known.seen["cheap"] = GOOD
    await asyncio.gather(*(office.node().look() for _ in range(4)))
    versions = [one.route for one in office.routes.versions if one.route is not None]
    assert [one.canary is not None for one in versions] in ([False, True], [False, True, False])
    assert office.states in (["canary"], ["accepted"])


async def test_auto_canary_begins_one_and_leaves_the_promotion_to_a_person() -> None:
    office = Office()
    await office.route(Auto.CANARY)
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    assert office.now.canary is not None
    assert (office.now.canary.model, office.now.canary.share, office.now.preferred_model) == ("cheap", 0.2, "dear")
    await office.node().look()
    assert office.states == ["canary"]
    (kept,) = office.store.kept.values()
    assert kept.evidence["cleared"] is True
    await office.proposals.accept(kept.id, author="ada")
    assert office.now.preferred_model == "cheap"
    assert office.routes.versions[-1].author == "ada"


async def test_auto_promote_counts_in_the_canary_only_what_came_since_it_began() -> None:
    office = Office()
    await office.route(Auto.PROMOTE)
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    office.known.seen["cheap"] = NOTHING
    await office.node().look()
    assert office.states == ["canary"]
    assert office.known.asked[-1] == 2_000  # when the version with the canary was saved
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    assert (office.states, office.now.preferred_model) == (["accepted"], "cheap")


async def test_a_worse_canary_is_stopped_even_where_nothing_else_happens_by_itself_and_begins_anew() -> None:
    office = Office()
    await office.route()
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    await office.proposals.accept("prp_1", author="ada", canary_share=0.5)
    office.known.seen["cheap"] = BAD
    await office.node().look()
    assert (office.states, office.now.canary, office.now.preferred_model) == (["stopped"], None, "dear")
    assert "worse" in office.store.kept["prp_1"].reason
    await office.node().look()
    assert office.known.asked[-1] == 77_000  # when it was decided
    assert office.states == ["stopped"]


async def test_each_further_try_of_a_candidate_needs_more_and_so_does_each_further_candidate() -> None:
    office = Office()
    await office.route(Auto.OFF, "cheap", "third")
    first = await office.proposals.candidates("mail")
    assert [one.trio.candidate for one in first] == ["cheap", "third"]
    assert first[0].document["level"] == pytest.approx(0.05 / 2 * 0.8)
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    await office.proposals.reject("prp_1", author="ada")
    again = await office.proposals.candidates("mail")
    assert again[0].document["level"] == pytest.approx(0.05 / 2 * 0.16)


async def test_a_rejected_candidate_is_proposed_again_for_the_same_version_when_it_clears_the_gate_anew() -> None:
    office = Office()
    await office.route()
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    await office.proposals.reject("prp_1", author="ada")
    office.known.seen["cheap"] = NOTHING
    await office.node().look()
    assert office.states == ["rejected"]
    office.known.seen["cheap"] = GOOD
    await asyncio.gather(*(office.node().look() for _ in range(3)))
    assert office.states == ["rejected", "open"]
    assert office.known.asked[-1] == 77_000  # what came since it was rejected
    assert [one.tried for one in office.store.kept.values()] == [0, 1]


async def test_what_was_weighed_before_a_rejection_makes_no_new_proposal() -> None:
    office = Office()
    await office.route(Auto.CANARY)
    office.known.seen["cheap"] = GOOD
    (weighed,) = await office.proposals.candidates("mail")
    new = NewProposal(id="prp_0", trio=weighed.trio, route_version=weighed.route_version, evidence={})
    await office.store.add(new)
    await office.proposals.reject("prp_0", author="ada")
    assert await office.node()._proposed(weighed) is None
    assert office.states == ["rejected"]


async def test_a_node_that_dies_between_route_and_proposal_leaves_nothing_half_done() -> None:
    office = Office()
    await office.route()
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    office.store.dies = True
    with pytest.raises(Overloaded):
        await office.proposals.accept("prp_1", author="ada", canary_share=0.5)
    assert (office.states, office.now.version) == (["open"], 2)
    await office.node().look()
    assert office.states == ["canary"]
    office.store.dies = True
    with pytest.raises(Overloaded):
        await office.proposals.accept("prp_1", author="ada")
    await office.node().look()
    assert (office.states, office.now.preferred_model) == (["accepted"], "cheap")


async def test_who_accepts_what_somebody_changed_meanwhile_is_told_and_changes_nothing() -> None:
    office = Office()
    await office.route()
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    await office.route(notes="changed")
    with pytest.raises(Conflict):
        await office.proposals.accept("prp_1", author="ada")
    assert (office.states, office.now.notes, office.now.preferred_model) == (["superseded"], "changed", "dear")
    with pytest.raises(Conflict, match="superseded already"):
        await office.proposals.reject("prp_1", author="ada")


async def test_two_people_who_decide_at_once_make_one_decision() -> None:
    office = Office()
    await office.route()
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    both = [office.proposals.accept("prp_1", author=name) for name in ("ada", "bob")]
    done = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(each, Proposal) for each in done) == 1
    assert sum(isinstance(each, Conflict) for each in done) == 1
    assert office.now.version == 2


async def test_a_candidate_that_is_gone_cannot_be_accepted_and_its_canary_can_be_ended() -> None:
    office = Office()
    await office.route(Auto.OFF, "cheap", "gone")
    office.known.seen["gone"] = GOOD
    await office.node().look()
    assert office.states == []  # nothing serves it
    office.known.seen["cheap"] = GOOD
    await office.node().look()
    await office.proposals.accept("prp_1", author="ada", canary_share=0.5)
    office.proposals._snapshot = lambda: snapshot(ollama("desk"), found={"desk": probe("dear")})
    with pytest.raises(Conflict, match="Nothing here serves"):
        await office.proposals.accept("prp_1", author="ada")
    assert (await office.proposals.reject("prp_1", author="ada")).status is ProposalStatus.REJECTED
    assert office.now.canary is None


async def test_it_looks_until_it_is_stopped_and_a_database_that_is_away_is_tried_again() -> None:
    office = Office()
    await office.route()
    office.known.seen["cheap"] = GOOD
    turns = iter([Overloaded("away"), RuntimeError("bug")])

    async def take_turn(*, every_ms: int) -> bool:
        turn = next(turns, None)
        if turn is not None:
            raise turn
        return True

    office.store.take_turn = take_turn  # type: ignore[method-assign]
    looking = Promoting(office.proposals, office.store, office.book, make_id=lambda: "prp_1", every=0.001)
    looking.start()
    looking.start()
    async with asyncio.timeout(20):
        while office.states != ["open"]:  # noqa: ASYNC110  another task makes it so
            await asyncio.sleep(0.005)
    await looking.stop()
    await looking.stop()
