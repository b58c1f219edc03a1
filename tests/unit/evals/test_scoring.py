"""Who may score an answer, and what is written down of a score."""

from __future__ import annotations

import pytest

from junto.core.errors import Conflict, NotFound
from junto.evals.scoring import Given, Scoring
from junto.identity.principal import ApiScope, Principal
from junto.ports.scores import Via
from junto.ports.subjects import SubjectKind

from .stage import Scores, Subjects, facts_of, ids

pytestmark = pytest.mark.anyio

OWNER = Principal(client="a", client_id="cli_a", scopes=frozenset({ApiScope.JOBS}))
NEIGHBOUR = Principal(client="b", client_id="cli_b", scopes=frozenset({ApiScope.JOBS}))
ADMIN = Principal(client="admin", is_admin=True)
JOB, EXCHANGE, SHADOW = SubjectKind.JOB, SubjectKind.EXCHANGE, SubjectKind.SHADOW


def scoring(*known: object) -> tuple[Scoring, Scores]:
    scores = Scores()
    return Scoring(Subjects(*(known or (facts_of(),))), scores, make_id=ids()), scores  # type: ignore[arg-type]


async def test_a_client_scores_its_own_answer_and_the_administrator_any() -> None:
    service, _ = scoring()
    own = await service.score(OWNER, JOB, "job_1", Given(score=4, note="good", dimensions={"tone": 5}))
    by_admin = await service.score(ADMIN, JOB, "job_1", Given(score=2))
    assert (own.score.via, own.score.author, own.replaced) == (Via.CLIENT, "cli_a", False)
    assert (by_admin.score.via, by_admin.score.author) == (Via.ADMIN, "admin")
    assert (own.score.model, own.score.task_type, own.score.subject_ms) == ("production-model", "mail", 1000)
    assert (own.score.note, own.score.dimensions) == ("good", {"tone": 5})


async def test_scoring_again_replaces() -> None:
    service, scores = scoring()
    await service.score(OWNER, JOB, "job_1", Given(score=4))
    again = await service.score(OWNER, JOB, "job_1", Given(score=1))
    assert again.replaced
    assert [score.score for score in scores.saved.values()] == [1]


async def test_anothers_answer_is_missing_in_the_words_of_one_that_is() -> None:
    service, scores = scoring(facts_of(), facts_of(id="job_2", tenant="acme", client_id="cli_a"))
    messages = []
    for principal, job_id in ((NEIGHBOUR, "job_1"), (OWNER, "job_2"), (OWNER, "job_3")):
        with pytest.raises(NotFound) as refused:
            await service.score(principal, JOB, job_id, Given(score=3))
        messages.append(refused.value.message.replace(job_id, "?"))
    assert len(set(messages)) == 1
    assert not scores.saved


async def test_a_service_scores_what_it_had_done_for_another_tenant_and_nothing_else_there() -> None:
    service, _ = scoring(facts_of(tenant="acme"), facts_of(id="job_2", tenant="acme", client_id="cli_x"))
    acting = Principal(client="a", client_id="cli_a", scopes=frozenset({ApiScope.JOBS, ApiScope.SERVICE}))
    assert (await service.score(acting, JOB, "job_1", Given(score=3))).score.subject.tenant_id == "acme"
    with pytest.raises(NotFound):
        await service.score(acting, JOB, "job_2", Given(score=3))


async def test_a_shadow_is_nobodys_but_the_administrators() -> None:
    service, _ = scoring(facts_of(SHADOW, "shd_1"))
    with pytest.raises(NotFound):
        await service.get(OWNER, SHADOW, "shd_1")
    assert (await service.score(ADMIN, SHADOW, "shd_1", Given(score=5))).score.score == 5


async def test_without_an_answer_there_is_nothing_to_score() -> None:
    service, scores = scoring(facts_of(answered=False))
    with pytest.raises(Conflict, match="no answer"):
        await service.score(OWNER, JOB, "job_1", Given(score=3))
    assert not scores.saved


async def test_the_exchange_of_a_job_is_scored_as_the_job() -> None:
    service, _ = scoring(facts_of(EXCHANGE, "req_1", job_id="job_1"))
    with pytest.raises(Conflict, match="job_1"):
        await service.score(OWNER, EXCHANGE, "req_1", Given(score=3))


async def test_a_client_sees_its_own_scores_and_the_administrator_all() -> None:
    service, _ = scoring()
    await service.score(OWNER, JOB, "job_1", Given(score=4))
    await service.score(ADMIN, JOB, "job_1", Given(score=2))
    assert [score.score for score in await service.scores(OWNER, JOB, "job_1")] == [4]
    assert [score.score for score in await service.scores(ADMIN, JOB, "job_1")] == [4, 2]
