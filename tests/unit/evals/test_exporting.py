"""Data sets as they go out: what is in them, what never is, and how much is held at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from junto.core.errors import InvalidField, NotServable
from junto.core.sensitivity import Sensitivity
from junto.evals.exporting import Datasets, Export, tiers_of
from junto.ports.datasets import EvidenceQuery, ScoreRow, VerdictRow
from junto.ports.scores import Via, Winner
from junto.ports.subjects import Said, Subject, SubjectFacts, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

pytestmark = pytest.mark.anyio

NOW = 1_795_219_200_000
DAY = 86_400_000


class Clock:
    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return NOW


class Kept:
    """Scores, verdicts and subjects in memory. Implements DatasetStore and SubjectStore as far as they are asked here."""

    def __init__(self) -> None:
        self.facts: dict[Subject, SubjectFacts] = {}
        self.scored: list[tuple[str, ScoreRow]] = []
        self.verdict_rows: list[tuple[str, VerdictRow]] = []
        self.most_texts = 0
        self.queries: list[EvidenceQuery] = []

    def add(
        self, id: str, answer: str, *scores: int, task: str = "geo", tier: str = "internal", **more: Any
    ) -> Subject:
        kind = SubjectKind.SHADOW if "source" in more else SubjectKind.EXCHANGE
        subject = Subject("default", kind, id)
        question = more.pop("question", "Capital of France?")
        self.facts[subject] = SubjectFacts(
            subject=subject,
            task_type=task,
            model="m",
            client_id="c",
            sensitivity=tier,
            started_ms=NOW,
            answered=True,
            has_text=True,
            messages=(Said("user", question),),
            answer=answer,
            **more,
        )
        self.scored += [(task, ScoreRow(subject, NOW, f"{id}{at}", score)) for at, score in enumerate(scores)]
        return subject

    def decide(self, first: Subject, second: Subject, winner: str, *, task: str = "geo") -> None:
        row = VerdictRow(first, second, NOW, f"v{len(self.verdict_rows)}", Winner(winner))
        self.verdict_rows.append((task, row))

    async def next_scored_task(self, query: EvidenceQuery, after: str | None) -> str | None:
        return min((task for task, _ in self.scored if after is None or task > after), default=None)

    async def next_decided_task(self, query: EvidenceQuery, after: str | None) -> str | None:
        return min((task for task, _ in self.verdict_rows if after is None or task > after), default=None)

    async def scores(
        self, query: EvidenceQuery, task_type: str, *, after: ScoreRow | None, limit: int
    ) -> Sequence[ScoreRow]:
        self.queries.append(query)
        rows = [row for task, row in self.scored if task == task_type and query.kind in {None, row.subject.kind}]
        start = 0 if after is None else rows.index(after) + 1
        return rows[start : start + limit]

    async def verdicts(
        self, query: EvidenceQuery, task_type: str, *, after: VerdictRow | None, limit: int
    ) -> Sequence[VerdictRow]:
        rows = [row for task, row in self.verdict_rows if task == task_type]
        start = 0 if after is None else rows.index(after) + 1
        return rows[start : start + limit]

    async def means(self, subjects: Collection[Subject], via: Via | None) -> Mapping[Subject, float]:
        found: dict[Subject, list[int]] = {}
        for _, row in self.scored:
            if row.subject in subjects:
                found.setdefault(row.subject, []).append(row.score)
        return {subject: sum(scores) / len(scores) for subject, scores in found.items()}

    async def decided(
        self, pairs: Collection[tuple[Subject, Subject]], via: Via | None
    ) -> Collection[frozenset[Subject]]:
        on = {frozenset((row.first, row.second)) for _, row in self.verdict_rows}
        return on & {frozenset(pair) for pair in pairs}

    async def find_many(self, subjects: Sequence[Subject], *, texts: bool = True) -> Mapping[Subject, SubjectFacts]:
        if texts:
            self.most_texts = max(self.most_texts, len(subjects))
        return {subject: self.facts[subject] for subject in subjects if subject in self.facts}

    async def find(self, subject: Subject, *, texts: bool = True) -> SubjectFacts | None:
        return self.facts.get(subject)

    async def find_anywhere(self, kind: SubjectKind, subject_id: str, *, texts: bool = True) -> SubjectFacts | None:
        raise NotImplementedError


def datasets(kept: Kept, *, allows_confidential: bool = False) -> Datasets:
    return Datasets(kept, kept, Clock(), allows_confidential=lambda: allows_confidential)


def export(**filters: Any) -> Export:
    return Export(**{"days": 30, **filters})


async def rows_of(pieces: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for piece in [piece async for piece in pieces] for line in piece.decode().splitlines()]


async def answers(kept: Kept, **filters: Any) -> list[str]:
    rows = await rows_of(datasets(kept).sft(export(**filters)))
    return [row["messages"][-1]["content"] for row in rows]


async def preferences(kept: Kept, **filters: Any) -> list[tuple[str, str]]:
    rows = await rows_of(datasets(kept).preferences(export(**filters)))
    return [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows]


async def test_answers_are_taken_by_their_mean_score() -> None:
    kept = Kept()
    kept.add("a", "Paris.", 5, 3)
    kept.add("b", "Lyon.", 1)
    assert await answers(kept, min_score=4.0) == ["Paris."]
    assert await answers(kept, min_score=1.0) == ["Paris.", "Lyon."]


async def test_no_evidence_is_an_empty_data_set() -> None:
    assert await answers(Kept()) == []
    assert await preferences(Kept()) == []


async def test_every_task_is_there_unless_one_is_named() -> None:
    kept = Kept()
    kept.add("a", "Paris.", 5)
    kept.add("b", "spam", 5, task="mail")
    assert await answers(kept) == ["Paris.", "spam"]
    assert await answers(kept, task_type="mail") == ["spam"]


async def test_what_cannot_be_read_is_left_out() -> None:
    kept = Kept()
    gone = kept.add("a", "Paris.", 5)
    del kept.facts[gone]
    kept.add("b", "Lyon.", 5)
    assert await answers(kept) == ["Lyon."]


async def test_a_limit_is_kept_in_the_middle_of_a_piece() -> None:
    kept = Kept()
    for number in range(50):
        kept.add(f"e{number}", f"answer {number}", 5)
    assert len(await answers(kept, limit=21)) == 21


async def test_many_rows_go_out_a_few_at_a_time() -> None:
    """So that memory is bounded by a few texts, whatever the data set."""
    kept = Kept()
    for number in range(1_200):
        kept.add(f"e{number:04}", f"answer {number}", 5)
    pieces = [piece async for piece in datasets(kept).sft(export())]
    assert sum(piece.count(b"\n") for piece in pieces) == 1_200
    assert max(piece.count(b"\n") for piece in pieces) <= 16
    assert kept.most_texts <= 16
    assert all(piece.endswith(b"\n") for piece in pieces)


async def test_verdicts_prefer_and_ties_do_not() -> None:
    kept = Kept()
    first, second = (
        kept.add("a", "Paris."),
        kept.add("b", "Lyon.", source=Subject("default", SubjectKind.EXCHANGE, "a")),
    )
    third, fourth = kept.add("c", "Paris!"), kept.add("d", "Nice!")
    kept.decide(first, second, "second")
    kept.decide(third, fourth, "tie")
    assert await preferences(kept) == [("Lyon.", "Paris.")]


async def test_scores_of_a_shadow_and_its_source_prefer_where_they_differ() -> None:
    kept = Kept()
    kept.add("b", "Lyon.", 2, source=kept.add("a", "Paris.", 5))
    kept.add("d", "Nice!", 4, source=kept.add("c", "Paris!", 4))
    kept.add("f", "Rome", 5, source=kept.add("e", "nobody scored this"))
    assert await preferences(kept) == [("Paris.", "Lyon.")]


async def test_a_verdict_goes_before_scores_and_a_pair_is_there_once() -> None:
    kept = Kept()
    source = kept.add("a", "Paris.", 5)
    shadow = kept.add("b", "Lyon.", 2, source=source)
    kept.decide(source, shadow, "second")
    assert await preferences(kept) == [("Lyon.", "Paris.")]
    kept.verdict_rows.clear()
    kept.decide(shadow, source, "tie")
    assert await preferences(kept) == []


async def test_the_least_score_is_that_of_what_is_chosen() -> None:
    kept = Kept()
    kept.add("b", "Lyon.", 1, source=kept.add("a", "Paris.", 3))
    unscored, other = kept.add("c", "Nice."), kept.add("d", "Metz.")
    kept.decide(unscored, other, "first")
    assert await preferences(kept, min_score=4.0) == []
    assert await preferences(kept, min_score=3.0) == [("Paris.", "Lyon.")]


async def test_days_are_counted_back_from_now() -> None:
    kept = Kept()
    kept.add("a", "Paris.", 5)
    await answers(kept, days=7)
    assert kept.queries[-1].since_ms == NOW - 7 * DAY


async def test_confidential_content_stays_even_if_a_score_says_that_it_is_not() -> None:
    """The tier that counts is that of the subject, as it is stored now."""
    kept = Kept()
    kept.add("a", "secret", 5, tier="confidential")
    assert await answers(kept) == []
    assert kept.queries[-1].tiers == ("public", "internal")


async def test_confidential_content_leaves_only_when_both_say_so() -> None:
    kept = Kept()
    kept.add("a", "secret", 5, tier="confidential")
    asked = export(include_confidential=True)
    assert len(await rows_of(datasets(kept, allows_confidential=True).sft(asked))) == 1
    assert await rows_of(datasets(kept, allows_confidential=True).sft(export())) == []
    with pytest.raises(NotServable, match="datasets_confidential"):
        datasets(kept).sft(asked)


@pytest.mark.parametrize("tier", list(Sensitivity))
def test_a_tier_that_is_named_is_the_only_one(tier: Sensitivity) -> None:
    asked = export(sensitivity=tier, include_confidential=tier is Sensitivity.CONFIDENTIAL)
    assert tiers_of(asked, allows_confidential=True) == (tier.label,)


def test_the_confidential_tier_alone_is_no_request_for_it() -> None:
    with pytest.raises(InvalidField, match="include_confidential=true"):
        tiers_of(export(sensitivity=Sensitivity.CONFIDENTIAL), allows_confidential=True)
