"""Blind review: a person scores a shadow and the answer that its caller got, side by side, and learns which was which afterwards.

Nothing that is shown before names a model, a client or a side. Content of every tier is shown: to the administrator alone, which is
for whoever calls this to see to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from junto.core.errors import NotFound
from junto.evals.scoring import Given, new_score
from junto.ports.scores import NewVerdict, Via, Winner
from junto.ports.subjects import Subject, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.evals.pair_ids import PairIds
    from junto.evals.scoring import MakeId
    from junto.ports.scores import NewScore, Pair, ReviewQueue, ScoreStore
    from junto.ports.subjects import SubjectFacts, SubjectStore

type Side = Literal["left", "right"]
type Preference = Literal["left", "right", "tie"]

LONGEST_TEXT: Final = 50_000  # characters of each text that are shown
_PAGE: Final = 10  # pairs that are read at once: each text may have megabytes
_MOST_PAGES: Final = 50  # of pairs whose texts are not there: then what there is to review is shown, however little


class BlindPair(msgspec.Struct, frozen=True, kw_only=True):
    """What a reviewer sees. `cut`: a text is longer than what is shown of it."""

    pair_id: str
    task_type: str
    prompt: str
    left: str
    right: str
    cut: bool


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a reviewer said of a pair. `prefer` None: the scores say it."""

    left: int
    right: int
    prefer: Preference | None = None
    note: str = ""


class Revealed(msgspec.Struct, frozen=True, kw_only=True):
    """A pair after it was scored: which answer is which."""

    facts: SubjectFacts
    score: int


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """What a review came to."""

    sides: Mapping[Side, Revealed]
    preferred: Preference


class Review:
    """One for a process."""

    def __init__(
        self,
        queue: ReviewQueue,
        subjects: SubjectStore,
        scores: ScoreStore,
        *,
        pair_ids: PairIds,
        make_id: MakeId,
    ) -> None:
        self._queue = queue
        self._subjects = subjects
        self._scores = scores
        self._pair_ids = pair_ids
        self._make_id = make_id

    async def waiting(self, *, task_type: str | None, limit: int) -> list[BlindPair]:
        """At most so many pairs that no administrator has scored, newest first; pairs without both texts are left out."""
        found: list[BlindPair] = []
        before: Pair | None = None
        for _ in range(_MOST_PAGES):
            page = await self._queue.waiting(task_type=task_type, limit=min(_PAGE, limit), before=before)
            facts = await self._subjects.find_many([each for pair in page for each in (pair.source, pair.shadow)])
            found += [
                self._blind(source, shadow)
                for pair in page
                if (source := facts.get(pair.source)) is not None and (shadow := facts.get(pair.shadow)) is not None
                if source.has_text and shadow.has_text
            ]
            if len(found) >= limit or len(page) < min(_PAGE, limit):
                break
            before = page[-1]
        return found[:limit]

    async def decide(self, pair_id: str, judged: Judged, *, author: str) -> Reviewed:
        """Write two scores and a verdict down, and tell which answer is which. Raises NotFound.

        Said once more, it takes the place of what the same author said before.
        """
        source, shadow = await self._pair(pair_id)
        shadow_is_left = self._pair_ids.shadow_is_left(shadow.subject.tenant_id, shadow.subject.id)
        left, right = (shadow, source) if shadow_is_left else (source, shadow)
        preferred = judged.prefer or preference(judged.left, judged.right)
        scores = [
            self._score(facts, score, judged, author) for facts, score in ((left, judged.left), (right, judged.right))
        ]
        verdict = NewVerdict(
            id=self._make_id("vrd"),
            first=left.subject,
            second=right.subject,
            first_model=left.model,
            second_model=right.model,
            task_type=shadow.task_type,
            sensitivity=shadow.sensitivity,
            subject_ms=min(source.started_ms, shadow.started_ms),
            winner={"left": Winner.FIRST, "right": Winner.SECOND, "tie": Winner.TIE}[preferred],
            via=Via.ADMIN,
            author=author,
            note=judged.note,
        )
        await self._scores.save_review(scores, verdict)
        sides: dict[Side, Revealed] = {
            "left": Revealed(facts=left, score=judged.left),
            "right": Revealed(facts=right, score=judged.right),
        }
        return Reviewed(sides=sides, preferred=preferred)

    def _blind(self, source: SubjectFacts, shadow: SubjectFacts) -> BlindPair:
        key = (shadow.subject.tenant_id, shadow.subject.id)
        left, right = (shadow, source) if self._pair_ids.shadow_is_left(*key) else (source, shadow)
        texts = (source.prompt, left.answer, right.answer)
        prompt, one, other = (text[:LONGEST_TEXT] for text in texts)
        return BlindPair(
            pair_id=self._pair_ids.seal(*key),
            task_type=shadow.task_type,
            prompt=prompt,
            left=one,
            right=other,
            cut=any(len(text) > LONGEST_TEXT for text in texts),
        )

    async def _pair(self, pair_id: str) -> tuple[SubjectFacts, SubjectFacts]:
        key = self._pair_ids.open(pair_id)
        shadow = None
        if key is not None:
            shadow = await self._subjects.find(Subject(key[0], SubjectKind.SHADOW, key[1]), texts=False)
        source = None
        if shadow is not None and shadow.source is not None and shadow.answered:
            source = await self._subjects.find(shadow.source, texts=False)
        if shadow is None or source is None:
            raise NotFound("There is no such pair to review, or not any more.")
        return source, shadow

    def _score(self, facts: SubjectFacts, score: int, judged: Judged, author: str) -> NewScore:
        given = Given(score=score, note=judged.note)
        return new_score(facts, given, id=self._make_id("scr"), via=Via.ADMIN, author=author)


def preference(left: int, right: int) -> Preference:
    """Which side two scores say is better."""
    if left == right:
        return "tie"
    return "left" if left > right else "right"


def shown(pairs: Sequence[BlindPair]) -> list[dict[str, object]]:
    """The pairs as plain JSON-ready values."""
    return [
        {
            "pair_id": pair.pair_id,
            "task_type": pair.task_type,
            "prompt": pair.prompt,
            "left": {"text": pair.left},
            "right": {"text": pair.right},
            **({"cut": True} if pair.cut else {}),
        }
        for pair in pairs
    ]
