"""Proposals, and the pairs of scores that they rest on, on every database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from junto.ports.proposals import Change, NewProposal, PairQuery, Past, ProposalStatus, Trio
from junto.storage.repositories.proposals import StoredPairs, StoredProposals
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import SCORES, SHADOWS

if TYPE_CHECKING:
    from sqlalchemy import Table

    from junto.storage.sessions import Sessions

pytestmark = pytest.mark.anyio

TRIO = Trio("mail", "dear", "cheap")
QUERY = PairQuery(task_type="mail", candidate="cheap", incumbents={"dear", "dear-2"}, since_ms=1_000)


def new(id: str, version: int = 1, trio: Trio = TRIO, **more: Any) -> NewProposal:
    return NewProposal(id=id, trio=trio, route_version=version, evidence={"pairs": 30, "note": "größer"}, **more)


async def add(sessions: Sessions, table: Table, **values: Any) -> None:
    row: dict[str, Any] = {
        **{column.name: "" for column in table.columns if not column.nullable and column.type.python_type is str},
        **{column.name: 0 for column in table.columns if not column.nullable and column.type.python_type is int},
    }
    async with sessions.write(OPERATOR) as session:
        await session.execute(insert(table).values(**(row | values)))


async def shadow(sessions: Sessions, id: str, *, tenant: str = "default", **more: Any) -> None:
    values = {"source_kind": "exchange", "source_id": f"req_{id}", "task_type": "mail", "model": "cheap"}
    made = {"production_model": "dear", "status": "complete", "created_ms": 2_000}
    await add(sessions, SHADOWS, tenant_id=tenant, id=id, **(values | made | more))


async def scored(
    sessions: Sessions,
    id: str,
    ours: int,
    theirs: int | None,
    *,
    via: str = "admin",
    authors: tuple[str, str] = ("operator", "operator"),
    tenant: str = "default",
) -> None:
    common = {"tenant_id": tenant, "via": via, "dimensions": "{}", "task_type": "mail"}
    ids = f"{id}-{via}-{authors[0]}"
    shadow_score = {"subject_kind": "shadow", "subject_id": id, "score": ours, "author": authors[0], "model": "cheap"}
    await add(sessions, SCORES, id=f"scr_{ids}", **common, **shadow_score)
    if theirs is not None:
        source = {"subject_kind": "exchange", "subject_id": f"req_{id}", "score": theirs, "author": authors[1]}
        await add(sessions, SCORES, id=f"src_{ids}", **common, **source, model="dear")


def counts(**by_difference: int) -> tuple[int, ...]:
    places = {"worse2": 2, "worse": 3, "same": 4, "better": 5, "better2": 6, "better3": 7}
    found = [0] * 9
    for name, times in by_difference.items():
        found[places[name]] = times
    return tuple(found)


async def test_a_proposal_is_kept_as_it_was_made(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    assert await store.add(new("prp_1"))
    found = await store.find("prp_1")
    assert found is not None
    assert (found.trio, found.route_version, found.status) == (TRIO, 1, ProposalStatus.OPEN)
    assert found.evidence == {"pairs": 30, "note": "größer"}
    assert (found.decided_by, found.decided_ms, found.new_version) == ("", None, 0)
    assert 0 < found.created_ms <= found.updated_ms  # a statement may ask the clock twice
    assert await store.of_version(TRIO, 1) == found
    assert await store.of_version(TRIO, 2) is None
    assert await store.find("prp_2") is None


async def test_after_each_decision_a_version_of_a_route_may_have_another_one(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    await store.add(new("prp_1"))
    (first,) = await store.live()
    await store.change(first, Change(status=ProposalStatus.REJECTED))
    assert not await store.add(new("prp_2"))
    assert await store.add(new("prp_3", tried=1))
    latest = await store.of_version(TRIO, 1)
    assert latest is not None
    assert (latest.id, latest.tried) == ("prp_3", 1)


async def test_a_version_of_a_route_has_one_proposal_of_a_trio_whoever_is_first(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    added = await asyncio.gather(*(store.add(new(f"prp_{number}")) for number in range(5)))
    assert sorted(added) == [False] * 4 + [True]
    assert await store.add(new("prp_8", version=2))
    assert await store.add(new("prp_9", trio=Trio("mail", "dear", "other")))
    assert len(await store.live()) == 3


async def test_who_decides_second_changes_nothing(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    await store.add(new("prp_1"))
    seen = await store.find("prp_1")
    assert seen is not None
    accept = Change(status=ProposalStatus.ACCEPTED, by="ada", new_version=2, reason="Accepted.")
    reject = Change(status=ProposalStatus.REJECTED, by="bob")
    done = await asyncio.gather(store.change(seen, accept), store.change(seen, reject))
    assert sorted(done) == [False, True]
    after = await store.find("prp_1")
    assert after is not None
    assert (after.status, after.decided_by) in {(ProposalStatus.ACCEPTED, "ada"), (ProposalStatus.REJECTED, "bob")}
    assert after.decided_ms is not None
    assert not await store.note(seen, {"pairs": 31})
    assert await store.live() == []


async def test_newer_evidence_and_a_canary_are_noted(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    await store.add(new("prp_1"))
    (seen,) = await store.live()
    assert await store.note(seen, {"pairs": 40})
    assert await store.change(seen, Change(status=ProposalStatus.CANARY, new_version=2, by="evidence"))
    (canary,) = await store.live()
    assert (canary.status, canary.new_version, canary.evidence) == (ProposalStatus.CANARY, 2, {"pairs": 40})
    assert await store.change(canary, Change(status=ProposalStatus.STOPPED, evidence={"pairs": 50}, reason="worse"))
    stopped = await store.find("prp_1")
    assert stopped is not None
    assert (stopped.reason, stopped.evidence, stopped.new_version) == ("worse", {"pairs": 50}, 2)


async def test_what_was_decided_before_counts_and_what_was_superseded_does_not(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    assert await store.past(TRIO) == Past()
    ends = [ProposalStatus.REJECTED, ProposalStatus.SUPERSEDED, ProposalStatus.STOPPED, ProposalStatus.ACCEPTED]
    for version, status in enumerate(ends, start=1):
        await store.add(new(f"prp_{version}", version=version))
        seen = await store.find(f"prp_{version}")
        assert seen is not None
        await store.change(seen, Change(status=status))
    await store.add(new("prp_5", version=5))
    past = await store.past(TRIO)
    last = await store.find("prp_4")
    assert last is not None
    assert (past.times, past.last_ms) == (3, last.decided_ms)
    assert await store.past(Trio("mail", "cheap", "dear")) == Past()


async def test_pages_are_newest_first(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    for number in range(1, 4):
        await store.add(new(f"prp_{number}", version=number))
    await store.add(new("prp_4", trio=Trio("bio", "dear", "cheap")))
    page = await store.page(task_type=None, status=None, before=None, limit=3)
    assert [each.id for each in page] == ["prp_4", "prp_3", "prp_2"]
    page = await store.page(task_type="mail", status=ProposalStatus.OPEN, before="prp_3", limit=3)
    assert [each.id for each in page] == ["prp_2", "prp_1"]
    assert await store.page(task_type=None, status=ProposalStatus.STOPPED, before=None, limit=3) == []


async def test_one_node_has_the_turn(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    turns = await asyncio.gather(*(store.take_turn(every_ms=60_000) for _ in range(4)))
    assert sorted(turns) == [False, False, False, True]
    assert not await store.take_turn(every_ms=0)


async def test_a_turn_comes_again_when_its_time_is_over(sessions: Sessions) -> None:
    store = StoredProposals(sessions)
    assert await store.take_turn(every_ms=-1)
    assert await store.take_turn(every_ms=-1)


async def test_pairs_are_of_one_rater_and_count_once_each(sessions: Sessions) -> None:
    for number in range(5):
        await shadow(sessions, f"shd_{number}")
    await scored(sessions, "shd_0", 5, 4)
    await scored(sessions, "shd_0", 1, 5, via="judge", authors=("j", "j"))  # the administrator comes first
    await scored(sessions, "shd_1", 3, 3, via="judge", authors=("j", "j"))
    await scored(sessions, "shd_1", 2, 3, via="judge", authors=("k", "k"))  # each pair once: the first by name
    await scored(sessions, "shd_2", 5, 1, via="judge", authors=("j", "k"))  # not of one rater
    await scored(sessions, "shd_3", 5, 3, via="judge-panel", authors=("j,k", "j,k"))  # a panel is one rater
    await scored(sessions, "shd_4", 5, 1, via="judge-panel", authors=("j,k", "k,l"))  # and two panels are two
    assert await StoredPairs(sessions).differences(QUERY) == counts(better=1, same=1, better2=1)


async def test_pairs_of_other_tasks_models_times_and_tenants_are_left_out(sessions: Sessions) -> None:
    await shadow(sessions, "in", production_model="dear-2", tenant="acme")
    await scored(sessions, "in", 4, 5, tenant="acme")
    await shadow(sessions, "namesake", tenant="acme")
    await scored(sessions, "namesake", 5, 1)  # another tenant's scores of the same ids
    others: dict[str, dict[str, Any]] = {
        "task": {"task_type": "bio"},
        "model": {"model": "other"},
        "incumbent": {"production_model": "other"},
        "old": {"created_ms": 999},
    }
    for id, more in others.items():
        await shadow(sessions, id, **more)
        await scored(sessions, id, 5, 1)
    await shadow(sessions, "alone")
    await scored(sessions, "alone", 5, None)
    pairs = StoredPairs(sessions)
    assert await pairs.differences(QUERY) == counts(worse=1)
    nobody = PairQuery(task_type="mail", candidate="cheap", incumbents=(), since_ms=0)
    assert await pairs.differences(nobody) == counts()


async def test_a_score_of_a_job_belongs_to_the_job_that_was_shadowed(sessions: Sessions) -> None:
    await shadow(sessions, "shd", source_kind="job")
    await scored(sessions, "shd", 5, 1)
    assert await StoredPairs(sessions).differences(QUERY) == counts()  # the score is an exchange's of that id
