"""Data sets as they go out: lines of JSON, a few at a time, as long as somebody reads. Confidential content stays unless it may go.

Holds no more than a page of figures and a few texts, and nothing in the database between two pieces. Rows are evals/datasets.py's.
"""

from __future__ import annotations

from itertools import batched
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from junto.core.errors import InvalidField, NotServable
from junto.core.periods import DAY_MS
from junto.core.sensitivity import Sensitivity
from junto.evals.datasets import by_scores, preference_row, preferred, scored, sft_row, whole_groups
from junto.ports.datasets import EvidenceQuery
from junto.ports.scores import Via
from junto.ports.subjects import SubjectKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from junto.evals.datasets import Preference, Scored
    from junto.ports.clock import Clock
    from junto.ports.datasets import DatasetStore, ScoreRow, VerdictRow
    from junto.ports.subjects import Subject, SubjectFacts, SubjectStore

_PAGE: Final = 200  # scores or verdicts at a time: a few milliseconds of the loop
_TEXTS: Final = 16  # subjects at a time whose texts are read: each may be as large as a body may be
_LOOKED_AT: Final = 100  # pairs at a time

type Pieces = AsyncGenerator[bytes]


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are wanted. `min_score` is for the mean of an answer's scores, of the chosen one's in preferences."""

    task_type: str | None = None
    min_score: float | None = None
    via: Via | None = None
    days: int
    sensitivity: Sensitivity | None = None
    tenant_id: str | None = None
    include_confidential: bool = False
    limit: int | None = None
    author: str = ""  # who asks, for the log


class Datasets:
    """Makes data sets. `allows_confidential` is the operator's configuration, asked each time."""

    def __init__(
        self, store: DatasetStore, subjects: SubjectStore, clock: Clock, *, allows_confidential: Callable[[], bool]
    ) -> None:
        self._store = store
        self._subjects = subjects
        self._clock = clock
        self._allows_confidential = allows_confidential
        self._log = structlog.get_logger()

    def sft(self, export: Export) -> Pieces:
        """Well scored answers with what was asked. Raises InvalidField, or NotServable where confidential content may not go."""
        query = self._query(export)
        return self._lines("sft", export, self._scored_rows(export, query))

    def preferences(self, export: Export) -> Pieces:
        """Pairs of answers, the better one first: by verdicts, then by scores where there is none. Raises as `sft` does."""
        query = self._query(export)
        return self._lines("preferences", export, self._preference_rows(export, query))

    def _query(self, export: Export) -> EvidenceQuery:
        return EvidenceQuery(
            tiers=tiers_of(export, allows_confidential=self._allows_confidential()),
            since_ms=self._clock.wall_ms() - export.days * DAY_MS,
            task_type=export.task_type,
            via=export.via,
            tenant_id=export.tenant_id,
        )

    async def _lines(self, name: str, export: Export, rows: AsyncIterator[Sequence[dict[str, Any] | None]]) -> Pieces:
        """Rows as pieces of whole lines, at most as many as are wanted; None stands for what was of no use."""
        sent = skipped = 0
        left = export.limit
        try:
            async for batch in rows:
                usable = [row for row in batch if row is not None][:left]
                sent, skipped = sent + len(usable), skipped + batch.count(None)
                if usable:
                    yield b"".join(msgspec.json.encode(row) + b"\n" for row in usable)
                if left is not None:
                    left -= len(usable)
                    if not left:
                        return
        finally:
            self._log.info("dataset_exported", dataset=name, rows=sent, skipped=skipped, author=export.author)

    async def _scored_rows(
        self, export: Export, query: EvidenceQuery
    ) -> AsyncIterator[Sequence[dict[str, Any] | None]]:
        async for page in self._scored(query):
            good = [one.subject for one in page if _reaches(one.mean, export.min_score)]
            for few in batched(good, _TEXTS):
                found = await self._texts(few, query)
                yield [None if facts is None else sft_row(facts) for facts in (found.get(one) for one in few)]

    async def _preference_rows(
        self, export: Export, query: EvidenceQuery
    ) -> AsyncIterator[Sequence[dict[str, Any] | None]]:
        async for page in self._decided(query):
            for few in batched(page, _LOOKED_AT):
                async for rows in self._pairs(await self._well_chosen(few, export), query):
                    yield rows
        async for scores in self._scored(msgspec.structs.replace(query, kind=SubjectKind.SHADOW)):
            for some in batched(scores, _LOOKED_AT):
                async for rows in self._pairs(await self._well_chosen(await self._unlike(some, query), export), query):
                    yield rows

    async def _pairs(
        self, pairs: Sequence[Preference], query: EvidenceQuery
    ) -> AsyncIterator[Sequence[dict[str, Any] | None]]:
        for few in batched(pairs, _TEXTS // 2):
            found = await self._texts([subject for pair in few for subject in (pair.chosen, pair.rejected)], query)
            both = [(found.get(pair.chosen), found.get(pair.rejected)) for pair in few]
            yield [
                None if chosen is None or rejected is None else preference_row(chosen, rejected)
                for chosen, rejected in both
            ]

    async def _texts(self, subjects: Sequence[Subject], query: EvidenceQuery) -> dict[Subject, SubjectFacts]:
        """What was said, of those whose own tier may go: that of a score is a copy."""
        found = await self._subjects.find_many(subjects)
        return {subject: facts for subject, facts in found.items() if facts.sensitivity in query.tiers}

    async def _unlike(self, shadows: Sequence[Scored], query: EvidenceQuery) -> list[Preference]:
        """Shadows and what they are shadows of, where their scores differ enough and nobody has decided between them."""
        facts = await self._subjects.find_many([one.subject for one in shadows], texts=False)
        sources = {one.subject: source for one in shadows if (source := _source(facts.get(one.subject))) is not None}
        means = await self._store.means(set(sources.values()), query.via)
        found = []
        for one in shadows:
            source = sources.get(one.subject)
            if source is not None and source in means:
                preference = by_scores(one, msgspec.structs.replace(one, subject=source, mean=means[source]))
                found += [] if preference is None else [preference]
        decided = await self._store.decided([(pair.chosen, pair.rejected) for pair in found], query.via)
        return [pair for pair in found if frozenset((pair.chosen, pair.rejected)) not in decided]

    async def _well_chosen(self, pairs: Sequence[Preference], export: Export) -> Sequence[Preference]:
        if export.min_score is None or not pairs:
            return pairs
        means = await self._store.means({pair.chosen for pair in pairs}, export.via)
        return [pair for pair in pairs if _reaches(means.get(pair.chosen, 0.0), export.min_score)]

    async def _scored(self, query: EvidenceQuery) -> AsyncIterator[Sequence[Scored]]:
        async for task in _tasks(query, self._store.next_scored_task):
            after: ScoreRow | None = None
            is_last = False
            while not is_last:
                page = await self._store.scores(query, task, after=after, limit=_PAGE)
                is_last = len(page) < _PAGE
                rows = whole_groups(page, is_last=is_last)
                after = rows[-1] if rows else None
                yield scored(rows)

    async def _decided(self, query: EvidenceQuery) -> AsyncIterator[Sequence[Preference]]:
        async for task in _tasks(query, self._store.next_decided_task):
            after: VerdictRow | None = None
            is_last = False
            while not is_last:
                page = await self._store.verdicts(query, task, after=after, limit=_PAGE)
                is_last = len(page) < _PAGE
                rows = whole_groups(page, is_last=is_last)
                after = rows[-1] if rows else None
                yield preferred(rows)


def tiers_of(export: Export, *, allows_confidential: bool) -> tuple[str, ...]:
    """The tiers whose content may go out; raises InvalidField or NotServable.

    Confidential content goes only where it is asked for by name and the configuration allows it at all.
    """
    if export.include_confidential and not allows_confidential:
        raise NotServable(
            "Confidential content leaves in no data set here: the configuration would have to say "
            "`evals.datasets_confidential: true`."
        )
    if export.sensitivity is Sensitivity.CONFIDENTIAL and not export.include_confidential:
        raise InvalidField(
            "Confidential content leaves only with include_confidential=true.", param="include_confidential"
        )
    if export.sensitivity is not None:
        return (export.sensitivity.label,)
    return tuple(
        tier.label for tier in Sensitivity if export.include_confidential or tier is not Sensitivity.CONFIDENTIAL
    )


async def _tasks(
    query: EvidenceQuery, next_task: Callable[[EvidenceQuery, str | None], Awaitable[str | None]]
) -> AsyncIterator[str]:
    """The task that is asked for, else one after the other."""
    if query.task_type is not None:
        yield query.task_type
        return
    task: str | None = await next_task(query, None)
    while task is not None:
        yield task
        task = await next_task(query, task)


def _reaches(mean: float, least: float | None) -> bool:
    return least is None or mean >= least


def _source(facts: SubjectFacts | None) -> Subject | None:
    return None if facts is None else facts.source
