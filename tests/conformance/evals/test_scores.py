"""Scores, verdicts, links and what waits for review, as they are stored."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import insert, select, update

from junto.core.secret import Secret
from junto.ports.scores import NewLink, NewScore, NewVerdict, TallyQuery, Via, Winner
from junto.ports.subjects import Kind, Subject, SubjectKind
from junto.storage.repositories.scores import StoredLinks, StoredReviews, StoredScores, purge_links, purge_notes
from junto.storage.sealing import Sealer
from junto.storage.sessions import OPERATOR, Sessions, Tenant
from junto.storage.tables.evals import SCORE_LINKS, SCORES, SHADOWS, VERDICTS

if TYPE_CHECKING:
    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio

JOB = Subject("default", SubjectKind.JOB, "job_1")
SHADOW = Subject("default", SubjectKind.SHADOW, "shd_1")
NOTE = "too long, but she is right about the invoice"


def score(id: str = "scr_1", **changes: Any) -> NewScore:
    plain = NewScore(
        id=id,
        subject=JOB,
        task_type="mail",
        model="production-model",
        client_id="cli_a",
        sensitivity="internal",
        subject_ms=1000,
        score=4,
        via=Via.ADMIN,
        author="admin",
        dimensions={"tone": 5, "facts": 3},
        note=NOTE,
    )
    return msgspec.structs.replace(plain, **changes)


def verdict(id: str = "vrd_1", **changes: Any) -> NewVerdict:
    plain = NewVerdict(
        id=id,
        first=SHADOW,
        second=JOB,
        first_model="candidate-model",
        second_model="production-model",
        task_type="mail",
        sensitivity="internal",
        subject_ms=1000,
        winner=Winner.FIRST,
        via=Via.ADMIN,
        author="admin",
        note=NOTE,
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.fixture(params=["open", "sealed"])
def kept(request: pytest.FixtureRequest, database: Database) -> Sessions:
    """With notes as they are, and encrypted."""
    sealer = Sealer(Secret("k" * 40), entropy=os.urandom) if request.param == "sealed" else None
    return Sessions(database, sealer=sealer)


async def test_a_score_is_kept_as_it_was_given(kept: Sessions) -> None:
    store = StoredScores(kept)
    saved = await store.save(score())
    assert not saved.replaced
    assert await store.of(JOB) == [saved.score]
    assert (saved.score.note, saved.score.dimensions, saved.score.via) == (NOTE, {"tone": 5, "facts": 3}, Via.ADMIN)
    assert 0 < saved.score.created_ms <= saved.score.updated_ms  # a statement may ask the clock twice


async def test_the_same_author_has_one_score_of_a_subject_and_others_have_theirs(sessions: Sessions) -> None:
    store = StoredScores(sessions)
    first = await store.save(score())
    again = await store.save(score("scr_2", score=1, note="", dimensions={}))
    assert again.replaced
    assert (again.score.id, again.score.score, again.score.note) == ("scr_1", 1, "")
    assert again.score.created_ms == first.score.created_ms
    for id, others in (
        ("scr_3", {"author": "someone"}),
        ("scr_4", {"via": Via.CLIENT}),
        ("scr_5", {"subject": SHADOW}),
    ):
        assert not (await store.save(score(id, **others))).replaced
    assert [each.id for each in await store.of(JOB)] == ["scr_1", "scr_3", "scr_4"]


async def test_scores_of_one_author_at_once_leave_one(sessions: Sessions) -> None:
    store = StoredScores(sessions)
    saved = await asyncio.gather(*(store.save(score(f"scr_{n}", score=1 + n % 5)) for n in range(8)))
    assert sorted(each.replaced for each in saved) == [False] + [True] * 7
    (only,) = await store.of(JOB)
    assert only.note == NOTE


async def test_a_tenant_does_not_see_anothers_scores(sessions: Sessions) -> None:
    store = StoredScores(sessions)
    await store.save(score(subject=msgspec.structs.replace(JOB, tenant_id="acme")))
    assert await store.of(JOB) == []
    async with sessions.read(Tenant("default")) as session:
        seen = await session.execute(select(SCORES).where(session.within(SCORES)))
    assert seen.all() == []


async def test_with_a_secret_no_word_of_a_note_lies_in_the_database(database: Database) -> None:
    sealed = Sessions(database, sealer=Sealer(Secret("k" * 40), entropy=os.urandom))
    await StoredScores(sealed).save(score())
    await StoredScores(sealed).save_verdict(verdict())
    async with sealed.read(OPERATOR) as session:
        rows = [*(await session.execute(select(SCORES))).all(), *(await session.execute(select(VERDICTS))).all()]
    assert "invoice" not in repr(rows)
    other = Sessions(database, sealer=Sealer(Secret("o" * 40), entropy=os.urandom))
    assert [each.note for each in await StoredScores(other).of(JOB)] == [""]


async def test_a_verdict_is_the_same_whichever_of_the_pair_comes_first(kept: Sessions) -> None:
    store = StoredScores(kept)
    first = await store.save_verdict(verdict())
    swapped = verdict(
        "vrd_2",
        first=JOB,
        second=SHADOW,
        first_model="production-model",
        second_model="candidate-model",
        winner=Winner.SECOND,
    )
    again = await store.save_verdict(swapped)
    assert again.replaced
    assert again.verdict == first.verdict
    assert first.verdict.note == NOTE
    assert (first.verdict.first, first.verdict.winner) == (JOB, Winner.SECOND)
    assert await store.verdicts_on(SHADOW) == await store.verdicts_on(JOB) == [again.verdict]


async def test_tallies_count_scores_by_model_kind_and_way(sessions: Sessions) -> None:
    store = StoredScores(sessions)
    for number, changes in enumerate([
        {"score": 5},
        {"score": 5, "author": "b"},
        {"score": 1, "author": "c"},
        {"score": 3, "via": Via.JUDGE, "author": "j"},
        {"score": 2, "subject": SHADOW, "model": "candidate-model"},
        {"score": 4, "author": "old", "subject_ms": 1},
        {"score": 4, "author": "late", "subject_ms": 5000},
        {"score": 4, "author": "other", "task_type": "code"},
        {"score": 1, "subject": msgspec.structs.replace(JOB, tenant_id="acme")},
    ]):  # fmt: skip
        await store.save(score(f"scr_{number}", **changes))  # type: ignore[arg-type]
    found = await store.tallies(TallyQuery(task_type="mail", since_ms=1000, until_ms=5000))
    assert [(each.model, each.kind, each.via, each.counts) for each in found] == [
        ("candidate-model", Kind.SHADOW, Via.ADMIN, (0, 1, 0, 0, 0)),
        ("production-model", Kind.PRODUCTION, Via.ADMIN, (2, 0, 0, 0, 2)),
        ("production-model", Kind.PRODUCTION, Via.JUDGE, (0, 0, 1, 0, 0)),
    ]
    everything = await store.tallies(TallyQuery(task_type=None, since_ms=0))
    assert sum(sum(each.counts) for each in everything) == 9


async def test_verdicts_are_counted_from_both_sides(sessions: Sessions) -> None:
    store = StoredScores(sessions)
    for number, winner in enumerate((Winner.FIRST, Winner.FIRST, Winner.TIE, Winner.SECOND)):
        await store.save_verdict(verdict(f"vrd_{number}", winner=winner, author=f"a{number}"))
    await store.save_verdict(verdict("vrd_9", task_type="code"))
    candidate, production = await store.verdict_tallies(TallyQuery(task_type="mail", since_ms=0))
    assert (candidate.model, candidate.kind, candidate.rival) == ("candidate-model", Kind.SHADOW, "production-model")
    assert (candidate.wins, candidate.losses, candidate.ties) == (2, 1, 1)
    assert (production.wins, production.losses, production.ties) == (1, 2, 1)


async def test_a_review_is_written_whole(kept: Sessions) -> None:
    store = StoredScores(kept)
    scores = [score(), score("scr_2", subject=SHADOW, score=2)]
    saved, judged = await store.save_review(scores, verdict())
    assert [each.score for each in saved] == [4, 2]
    assert await store.of(SHADOW) == [saved[1]]
    assert await store.verdicts_on(JOB) == [judged]


async def shadows(sessions: Sessions, *rows: dict[str, Any]) -> None:
    """Shadows as they lie in the database; a row says what is not as usual."""
    usual: dict[str, Any] = {
        column.name: 0 if column.type.python_type is int else b"" if column.type.python_type is bytes else ""
        for column in SHADOWS.columns
    }
    usual |= {"tenant_id": "default", "source_kind": "job", "task_type": "mail", "status": "complete", "lease_ms": None}
    async with sessions.write(OPERATOR) as session:
        await session.execute(insert(SHADOWS), [{**usual, "source_id": row["id"], **row} for row in rows])


async def test_what_no_administrator_has_scored_waits_for_review_newest_first(sessions: Sessions) -> None:
    await shadows(
        sessions,
        *({"id": f"shd_{number}", "created_ms": 100 + number // 2} for number in range(6)),
        {"id": "shd_running", "status": "running", "created_ms": 200},
        {"id": "shd_code", "task_type": "code", "created_ms": 300},
    )
    store = StoredScores(sessions)
    await store.save(score(subject=Subject("default", SubjectKind.SHADOW, "shd_3")))
    await store.save(score("scr_2", subject=Subject("default", SubjectKind.SHADOW, "shd_4"), via=Via.JUDGE, author="j"))
    queue = StoredReviews(sessions)
    first = await queue.waiting(task_type="mail", limit=3)
    rest = await queue.waiting(task_type="mail", limit=3, before=first[-1])
    assert [pair.shadow.id for pair in (*first, *rest)] == ["shd_5", "shd_4", "shd_2", "shd_1", "shd_0"]
    assert first[0].source == Subject("default", SubjectKind.JOB, "shd_5")
    assert (await queue.waiting(task_type=None, limit=1))[0].shadow.id == "shd_code"


async def test_a_link_is_found_by_its_digest_and_used_once(sessions: Sessions) -> None:
    links, scores = StoredLinks(sessions), StoredScores(sessions)
    made = await links.add(NewLink(id="lnk_1", subject=JOB, digest="d1", ttl_ms=60_000), most=1)
    assert made is not None
    assert await links.find("d1") == made
    assert await links.find("d2") is None
    used = await asyncio.gather(
        *(links.spend(made, score(f"scr_{n}", via=Via.LINK, author="lnk_1", score=1 + n % 5)) for n in range(8))
    )
    assert sum(each is not None for each in used) == 1
    found = await links.find("d1")
    assert found is not None
    assert found.is_used
    (kept_score,) = await scores.of(JOB)
    assert [each.score for each in used if each is not None] == [kept_score]


async def test_a_link_whose_time_is_up_scores_nothing(sessions: Sessions) -> None:
    links = StoredLinks(sessions)
    made = await links.add(NewLink(id="lnk_1", subject=JOB, digest="d1", ttl_ms=-1), most=1)
    assert made is not None
    assert made.is_expired
    assert await links.spend(made, score(via=Via.LINK, author="lnk_1")) is None
    assert await StoredScores(sessions).of(JOB) == []


async def test_a_subject_has_a_bounded_number_of_links(sessions: Sessions) -> None:
    links = StoredLinks(sessions)
    made = [
        await links.add(NewLink(id=f"lnk_{n}", subject=JOB, digest=f"d{n}", ttl_ms=60_000), most=3) for n in range(5)
    ]
    assert [one is not None for one in made] == [True] * 3 + [False] * 2
    assert await links.find("d3") is None


async def test_links_are_forgotten_long_after_their_end(sessions: Sessions) -> None:
    links = StoredLinks(sessions)
    for number in range(3):
        await links.add(NewLink(id=f"lnk_{number}", subject=JOB, digest=f"d{number}", ttl_ms=-1), most=9)
    async with sessions.write(OPERATOR) as session:
        await session.execute(update(SCORE_LINKS).where(SCORE_LINKS.c.id != "lnk_2").values(expires_ms=1))
    assert await purge_links(sessions, limit=10) == 2
    assert await links.find("d2") is not None


async def test_notes_are_forgotten_with_the_exchanges_of_their_time_and_scores_stay(sessions: Sessions) -> None:
    store = StoredScores(sessions)
    await store.save(score())
    await store.save(score("scr_2", author="new"))
    await store.save_verdict(verdict())
    async with sessions.write(OPERATOR) as session:
        await session.execute(update(SCORES).where(SCORES.c.id == "scr_1").values(created_ms=1))
        await session.execute(update(VERDICTS).values(created_ms=1))
    assert await purge_notes(sessions, days=30, limit=10) == 2
    assert [(each.score, each.note) for each in await store.of(JOB)] == [(4, ""), (4, NOTE)]
    assert await purge_notes(sessions, days=30, limit=10) == 0
