"""What an exchange adds to the figures of models: a pure pass over a batch of records.

Owns what counts and what does not. Every attempt counts for the model that was tried; the answer, with its time and its tokens,
for the one that gave it. Not counted are judges' requests, what a composed exchange asked its members (their cost counts for
the composed one), and attempts that never reached a model or that the caller broke off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.core.errors import FailureKind
from junto.core.exchange import Outcome
from junto.core.periods import DAY_MS, day_of
from junto.evals.latency import LONGEST_MS, bucket_of
from junto.ports.replays import Purpose
from junto.ports.subjects import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from junto.core.exchange import ExchangeRecord

type Key = tuple[str, str, str, str, str]  # task type, day, tenant, kind, model
type Bucket = tuple[str, str, str, str, str, int]  # the same, and the bucket of its latency
type Sums = list[int]  # in the order of SUMS

SUMS: Final = ("attempts", "failures", "answers", "latency_ms", "tokens_in", "tokens_out", "cost_nano")
_ATTEMPTS, _FAILURES, _ANSWERS, _LATENCY, _IN, _OUT, _COST = range(len(SUMS))
_NOT_THE_MODELS: Final = frozenset({
    "cancelled",
    FailureKind.QUEUE_FULL.value,
    FailureKind.NOT_LOCAL.value,
    FailureKind.UNSUPPORTED.value,
})  # fmt: skip
_KINDS: Final[Mapping[str, Kind]] = {"": Kind.PRODUCTION, Purpose.SHADOW.value: Kind.SHADOW}
_MOST_TOKENS: Final = 2**32
_MOST_NANO: Final = 2**50  # a million dollars: sums of a day stay far from the end of 64 bits


def is_part(record: ExchangeRecord) -> bool:
    """Whether it was asked by a composed exchange in the name of another: that one counts."""
    if not record.parent_id:
        return False
    return not record.purpose or record.id.startswith(f"{record.parent_id}.")


def kind_counted(record: ExchangeRecord) -> Kind | None:
    """As what the record counts; None for not at all."""
    if is_part(record):
        return None
    return _KINDS.get(record.purpose)


def counted(records: Iterable[ExchangeRecord]) -> tuple[dict[Key, Sums], dict[Bucket, int]]:
    """What the records add, by day and model, and their answers by bucket. They must not have been counted before."""
    sums: dict[Key, Sums] = {}
    buckets: dict[Bucket, int] = {}
    day_of_ms = _Days()
    for record in records:
        kind = kind_counted(record)
        if kind is None:
            continue
        place = (_storable(record.task_type), day_of_ms(record.started_ms), record.tenant, kind.value)
        for attempt in record.attempts:
            if attempt.failure not in _NOT_THE_MODELS:
                sum_ = _of(sums, (*place, _storable(attempt.model)))
                sum_[_ATTEMPTS] += 1
                if attempt.failure:
                    sum_[_FAILURES] += 1
        if record.model:
            key = (*place, _storable(record.model))
            _add_answer(_of(sums, key), record)
            if record.outcome is Outcome.OK:
                bucket = (*key, bucket_of(record.duration_ms))
                buckets[bucket] = buckets.get(bucket, 0) + 1
    return sums, buckets


class _Days:
    """Days of moments, of which nearly all are the same one."""

    def __init__(self) -> None:
        self._number = -1
        self._day = ""

    def __call__(self, at_ms: int) -> str:
        number = at_ms // DAY_MS
        if number != self._number:
            self._number, self._day = number, day_of(at_ms)
        return self._day


def _add_answer(sums: Sums, record: ExchangeRecord) -> None:
    """What was paid counts however it ended; time and tokens are of whole answers."""
    sums[_COST] += min(record.cost_nano + record.parts_nano, _MOST_NANO)
    if record.outcome is not Outcome.OK:
        return
    sums[_ANSWERS] += 1
    sums[_LATENCY] += min(record.duration_ms, LONGEST_MS)
    sums[_IN] += min(record.input_tokens + record.cache_read_tokens + record.cache_write_tokens, _MOST_TOKENS)
    sums[_OUT] += min(record.output_tokens, _MOST_TOKENS)


def _of(sums: dict[Key, Sums], key: Key) -> Sums:
    found = sums.get(key)
    if found is None:
        found = sums[key] = [0] * len(SUMS)
    return found


def _storable(name: str) -> str:
    """Postgres has no character 0 in texts; a caller may have put one into the name of a task."""
    return name.replace("\0", "\ufffd") if "\0" in name else name
