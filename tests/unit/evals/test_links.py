"""A score link lets one person score one job once, before its time is up."""

from __future__ import annotations

import msgspec
import pytest

from junto.core.errors import Conflict, JuntoError, NotFound, Unauthenticated
from junto.evals.links import MOST_LINKS, Issued, Links, digest_of
from junto.evals.scoring import Given, Scoring
from junto.identity.principal import Principal
from junto.ports.scores import NewLink, Via

from . import stage

pytestmark = pytest.mark.anyio

OWNER = Principal(client="a", client_id="cli_a")
GIVEN = Given(score=5)


class Ground:
    """Links to jobs in memory."""

    def __init__(self, *known: object) -> None:
        subjects = stage.Subjects(*(known or (stage.facts_of(),)))  # type: ignore[arg-type]
        self.scores = stage.Scores()
        self.store = stage.Links(self.scores)
        make_id = stage.ids()
        scoring = Scoring(subjects, self.scores, make_id=make_id)
        self.links = Links(self.store, scoring, subjects, make_id=make_id, make_token=lambda: "secret-token")

    async def issued(self) -> Issued:
        return await self.links.issue(OWNER, "job_1")

    def change(self, **changes: bool) -> None:
        digest = digest_of("secret-token")
        self.store.links[digest] = msgspec.structs.replace(self.store.links[digest], **changes)

    async def refused(self, job_id: str = "job_1", token: str = "secret-token") -> JuntoError:
        with pytest.raises(JuntoError) as refused:
            await self.links.redeem(job_id, token, GIVEN)
        return refused.value


async def test_a_link_scores_once() -> None:
    ground = Ground()
    issued = await ground.issued()
    saved = await ground.links.redeem("job_1", issued.token, GIVEN)
    assert (saved.score.via, saved.score.author, saved.score.score) == (Via.LINK, issued.link.id, 5)
    assert isinstance(await ground.refused(), Conflict)


async def test_a_job_has_so_many_links_and_no_more() -> None:
    """Each is a vote: whoever could make any number of them could decide by them."""
    ground = Ground()
    for number in range(MOST_LINKS):
        new = NewLink(id=f"l{number}", subject=stage.facts_of().subject, digest=f"d{number}", ttl_ms=1000)
        assert await ground.store.add(new, most=MOST_LINKS) is not None
    with pytest.raises(Conflict):
        await ground.issued()


async def test_the_token_is_kept_as_its_digest_alone() -> None:
    ground = Ground()
    await ground.issued()
    assert "secret-token" not in repr(ground.store.links)


async def test_a_wrong_token_one_of_another_job_and_one_too_old_are_refused_in_the_same_words() -> None:
    ground = Ground()
    await ground.issued()
    refused = [await ground.refused(token="another"), await ground.refused(job_id="job_2")]
    ground.change(is_expired=True)
    refused.append(await ground.refused())
    assert {type(error) for error in refused} == {Unauthenticated}
    assert len({(error.message, error.code) for error in refused}) == 1


async def test_one_that_was_used_says_so_even_when_it_is_old() -> None:
    ground = Ground()
    await ground.issued()
    ground.change(is_used=True, is_expired=True)
    assert isinstance(await ground.refused(), Conflict)


@pytest.mark.parametrize(("overtaken_by", "error"), [("is_used", Conflict), ("is_expired", Unauthenticated)])
async def test_what_overtakes_it_between_look_and_use_is_told(overtaken_by: str, error: type[JuntoError]) -> None:
    ground = Ground()
    await ground.issued()
    ground.store._overtaken = lambda link: msgspec.structs.replace(link, **{overtaken_by: True})
    assert isinstance(await ground.refused(), error)
    assert not ground.scores.saved


async def test_a_job_without_an_answer_leaves_the_link_as_it_was() -> None:
    ground = Ground(stage.facts_of(answered=False))
    await ground.issued()
    assert isinstance(await ground.refused(), Conflict)
    assert not ground.store.links[digest_of("secret-token")].is_used


async def test_a_link_to_anothers_job_is_not_made() -> None:
    ground = Ground()
    with pytest.raises(NotFound):
        await ground.links.issue(Principal(client="b", client_id="cli_b"), "job_1")
    assert not ground.store.links
