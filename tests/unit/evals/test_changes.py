"""What a proposal makes of a route, and a changed route of a proposal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from junto.evals.changes import begun_ms, has_canary, is_shadowed, promoted, reconciled, with_canary, without_canary
from junto.ports.proposals import Proposal, ProposalStatus, Trio
from junto.ports.routes import RouteVersion
from junto.routing.evidence import Canary
from junto.routing.routes import Route, ShadowModel, check_route

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIO = Trio("mail", "dear", "cheap")
ROUTE = Route(
    task_type="mail",
    preferred_model="dear",
    fallback_model="spare",
    shadow_models=(ShadowModel(model="cheap", rate=0.1), ShadowModel(model="other", rate=0.2)),
    notes="kept",
    version=5,
)
OPEN = Proposal(
    id="prp_1", trio=TRIO, route_version=5, evidence={}, decided_by="", created_ms=1, updated_ms=1, decided_ms=None
)
CANARY = replace(OPEN, status=ProposalStatus.CANARY, new_version=6, decided_by="ada")


def test_a_promoted_candidate_is_no_shadow_of_itself_and_the_rest_stays() -> None:
    found = check_route(promoted(with_canary(ROUTE, "cheap", 0.1), "cheap"))
    assert (found.preferred_model, found.fallback_model, found.canary, found.notes) == ("cheap", "spare", None, "kept")
    assert [one.model for one in found.shadow_models] == ["other"]


def test_a_fallback_that_is_promoted_changes_places_with_the_incumbent() -> None:
    assert promoted(replace(ROUTE, fallback_model="cheap"), "cheap").fallback_model == "dear"


@pytest.mark.parametrize(("fallback", "kept"), [(None, "dear"), ("spare", "spare")])
def test_where_not_everybody_may_be_answered_by_the_candidate_the_incumbent_follows(
    fallback: str | None, kept: str
) -> None:
    assert promoted(replace(ROUTE, fallback_model=fallback), "cheap", keeps_incumbent=True).fallback_model == kept
    assert promoted(replace(ROUTE, fallback_model=fallback), "cheap").fallback_model == fallback


def test_a_canary_comes_and_goes_without_a_trace() -> None:
    tried = check_route(with_canary(ROUTE, "cheap", 0.25))
    assert tried.canary == Canary(model="cheap", share=0.25)
    assert has_canary(TRIO, tried)
    assert not has_canary(Trio("mail", "dear", "other"), tried)
    assert without_canary(tried) == ROUTE


def versions(*routes: Route | None) -> Sequence[RouteVersion]:
    """Newest first, each a second older than the one before."""
    return [
        RouteVersion(task_type="mail", version=9 - place, route=route, author="ada", created_ms=9_000 - 1_000 * place)
        for place, route in enumerate(routes)
    ]


def test_evidence_counts_from_when_the_pair_stands_without_a_break() -> None:
    other = replace(ROUTE, preferred_model="else")
    shadowed = versions(ROUTE, replace(ROUTE, notes="x"), other, ROUTE)
    assert begun_ms(shadowed, lambda route: is_shadowed(TRIO, route)) == 8_000
    assert begun_ms(versions(ROUTE, None, ROUTE), lambda route: is_shadowed(TRIO, route)) == 9_000
    assert begun_ms(versions(other), lambda route: is_shadowed(TRIO, route)) == 0


def test_a_proposal_whose_route_is_as_it_was_stays() -> None:
    assert reconciled(OPEN, ROUTE) is None
    assert reconciled(CANARY, replace(with_canary(ROUTE, "cheap", 0.1), version=6)) is None


@pytest.mark.parametrize("proposal", [OPEN, CANARY])
def test_a_proposal_follows_what_somebody_made_of_its_route(proposal: Proposal) -> None:
    tried = reconciled(proposal, replace(with_canary(ROUTE, "cheap", 0.5), version=7))
    assert tried is not None
    assert (tried.status, tried.new_version) == (ProposalStatus.CANARY, 7)
    taken = reconciled(proposal, replace(promoted(ROUTE, "cheap"), version=7))
    assert taken is not None
    assert (taken.status, taken.new_version) == (ProposalStatus.ACCEPTED, 7)
    for route in (replace(ROUTE, version=7), None):
        over = reconciled(proposal, route)
        assert over is not None
        assert over.status is ProposalStatus.SUPERSEDED
