"""A review is blind until it is scored, and two scores and a verdict afterwards."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.errors import NotFound
from junto.core.secret import Secret
from junto.evals.pair_ids import PairIds
from junto.evals.review import LONGEST_TEXT, Judged, Review, preference, shown
from junto.ports.scores import Pair, Via, Winner
from junto.ports.subjects import SubjectKind

from .stage import Queue, Scores, Subjects, facts_of, ids

pytestmark = pytest.mark.anyio

PAIR_IDS = PairIds(Secret("s" * 40))


class Ground:
    """So many shadows of jobs, of which some have no text."""

    def __init__(self, count: int, *, without_text: frozenset[int] = frozenset(), answer: str = "This one.") -> None:
        known, pairs = [], []
        for number in reversed(range(count)):
            source = facts_of(id=f"job_{number}", answer=answer)
            shadow = facts_of(
                SubjectKind.SHADOW,
                f"shd_{number}",
                model="candidate-model",
                answer="Or that one.",
                source=source.subject,
                has_text=number not in without_text,
            )
            known += [source, shadow]
            pairs.append(Pair(source.subject, shadow.subject, number))
        self.scores = Scores()
        self.queue = Queue(pairs)
        self.review = Review(self.queue, Subjects(*known), self.scores, pair_ids=PAIR_IDS, make_id=ids())


async def test_nothing_that_is_shown_says_which_is_which() -> None:
    ground = Ground(30)
    pairs = await ground.review.waiting(task_type=None, limit=30)
    told = msgspec.json.encode(shown(pairs)).decode()
    assert len(pairs) == 30
    for word in ("production-model", "candidate-model", "job_", "shd_", "shadow", "cli_a", "default"):
        assert word not in told


async def test_the_shadow_is_on_either_side_and_always_on_the_same_for_one_pair() -> None:
    ground = Ground(60)
    first, again = [await ground.review.waiting(task_type=None, limit=50) for _ in range(2)]
    assert first == again
    assert {pair.left for pair in first} == {"This one.", "Or that one."}


async def test_pairs_without_both_texts_are_passed_over() -> None:
    ground = Ground(40, without_text=frozenset(range(5, 40)))
    pairs = await ground.review.waiting(task_type=None, limit=10)
    assert len(pairs) == 5


async def test_an_empty_queue_is_an_empty_list() -> None:
    assert shown(await Ground(0).review.waiting(task_type=None, limit=10)) == []


async def test_a_text_of_any_length_is_shown_up_to_a_bound_and_that_is_said() -> None:
    (pair,) = await Ground(1, answer="x" * (LONGEST_TEXT + 1)).review.waiting(task_type=None, limit=1)
    assert max(len(pair.left), len(pair.right)) == LONGEST_TEXT
    assert shown([pair])[0]["cut"] is True


async def test_a_decision_is_two_scores_and_a_verdict_and_tells_the_models() -> None:
    ground = Ground(8)
    for pair in await ground.review.waiting(task_type=None, limit=8):
        reviewed = await ground.review.decide(pair.pair_id, Judged(left=5, right=2), author="admin")
        kinds = {side: one.facts.subject.kind for side, one in reviewed.sides.items()}
        assert reviewed.preferred == "left"
        assert (kinds["left"] is SubjectKind.SHADOW) == (pair.left == "Or that one.")
        verdict = ground.scores.verdicts[-1]
        assert (verdict.winner, verdict.via) == (Winner.FIRST, Via.ADMIN)
        assert verdict.first == reviewed.sides["left"].facts.subject
    found = {(score.model, score.score) for score in ground.scores.saved.values()}
    assert found == {(model, score) for model in ("production-model", "candidate-model") for score in (5, 2)}


async def test_what_the_reviewer_prefers_goes_before_what_the_scores_say() -> None:
    ground = Ground(1)
    (pair,) = await ground.review.waiting(task_type=None, limit=1)
    await ground.review.decide(pair.pair_id, Judged(left=5, right=2, prefer="tie"), author="admin")
    assert ground.scores.verdicts[-1].winner is Winner.TIE


def test_without_a_preference_the_scores_say_it() -> None:
    assert [preference(3, 3), preference(4, 3), preference(1, 2)] == ["tie", "left", "right"]


@pytest.mark.parametrize("pair_id", ["", "x", "shd_1", "?", "A" * 64, "A" * 700, "ü"])
async def test_a_name_that_is_none_of_ours_names_nothing(pair_id: str) -> None:
    with pytest.raises(NotFound):
        await Ground(1).review.decide(pair_id, Judged(left=1, right=1), author="admin")


async def test_a_pair_whose_source_is_gone_is_gone() -> None:
    with pytest.raises(NotFound):
        await Ground(1).review.decide(PAIR_IDS.seal("default", "shd_9"), Judged(left=1, right=1), author="admin")


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60),
    st.text("abc_019", max_size=40),
)
def test_a_name_opens_to_what_was_sealed_and_shows_nothing_of_it(tenant: str, shadow: str) -> None:
    sealed = PAIR_IDS.seal(tenant, shadow)
    assert PAIR_IDS.open(sealed) == (tenant, shadow)
    assert PAIR_IDS.seal(tenant, shadow) == sealed
    assert PairIds(Secret("t" * 40)).open(sealed) is None
    changed = ("B" if sealed[0] != "B" else "C") + sealed[1:]
    assert PAIR_IDS.open(changed) is None
