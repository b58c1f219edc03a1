"""One judgement: who may judge is settled first, then the tier, and only then anybody is asked.

Owns the calls. What is said to a judge is rubrics.py's, how it is read verdicts.py's, what all of it comes to jury.py's. Writes nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.chat import Message, Role, Text
from junto.core.errors import AllBackendsDown, Conflict, Forbidden, JuntoError, Overloaded, RateLimited
from junto.evals.families import same_family
from junto.evals.jury import NONSENSE, Look, Opinion, decide
from junto.evals.reading import Unread
from junto.evals.rubrics import MORE_TOKENS, choice_request, mark_request
from junto.evals.verdicts import Choice, Mark, agreed, read_choice, read_mark
from junto.ports.judging import Decision, Mode
from junto.ports.replays import ChatReplay, GaveWay, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.core.chat import ChatRequest
    from junto.core.exchange import ExchangeRecord
    from junto.evals.jurors import Bench, Juror
    from junto.evals.jury import Case
    from junto.ports.replays import Replayed, Replays
    from junto.ports.subjects import SubjectFacts

SAME_FAMILY: Final = "same_family"
NOT_ASKED: Final = "not_asked"
_TOO_FEW: Final = "Not asked: too few judges are left for a quorum."
_TRIES: Final = 2  # of an answer that is nonsense
_SHOWN_AGAIN: Final = 1_000  # characters of it that the judge is shown
_BUSY: Final = (GaveWay, Overloaded, RateLimited, AllBackendsDown)
_AGAIN: Final = "{reason} Answer again: one JSON object as it was asked for, and nothing else."


class SameFamily(Conflict):
    """The only judge is of the family of the model whose answer it would judge."""

    code = SAME_FAMILY


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with what it was made from. `is_busy`: it failed only because somebody had no room."""

    decision: Decision
    opinions: tuple[Opinion, ...] = ()
    is_busy: bool = False


class Judging:
    """Judges cases."""

    def __init__(self, replays: Replays, bench: Bench) -> None:
        self._replays = replays
        self._bench = bench

    def known(self, name: str) -> None:
        """Raises InvalidField and UnknownModel for a name that cannot judge."""
        self._bench.juror(name)

    def check(self, case: Case) -> None:
        """Raises what `judge` would raise before it asks anybody."""
        for juror in self._seated(case)[0]:
            self._bind(case, self._requests(case, juror))

    async def judge(self, case: Case, *, deadline_s: float) -> Judged:
        """The judgement of a case. A judge that fails is a failed verdict; what may not be asked at all is raised, and nobody was contacted.

        Raises InvalidField and UnknownModel for judges that there are not, SameFamily for one of the producer's, NotServable where
        one of them may not see the content.
        """
        seated, left_out = self._seated(case)
        if len(seated) < case.asked.needed:
            unasked = [Opinion(judge=juror.name, code=NOT_ASKED, error=_TOO_FEW) for juror in seated]
            return _judged(case, [*left_out, *unasked])
        for juror in seated:
            self._bind(case, self._requests(case, juror))
        async with asyncio.TaskGroup() as together:
            asked = [together.create_task(self._opinion(case, juror, deadline_s)) for juror in seated]
        return _judged(case, [*left_out, *(task.result() for task in asked)])

    def _seated(self, case: Case) -> tuple[list[Juror], list[Opinion]]:
        """The judges that may judge this, and those that are left out as of a producer's family."""
        jurors = [self._bench.juror(name) for name in case.asked.judges]
        if case.asked.allow_same_family:
            return jurors, []
        kin = [juror for juror in jurors if self._is_kin(juror, case)]
        if kin and case.asked.mode is not Mode.PANEL:
            raise SameFamily(_kin(kin[0], case), param="judges")
        left_out = [
            Opinion(judge=juror.name, left_out=True, is_kin=True, code=SAME_FAMILY, error=_kin(juror, case))
            for juror in kin
        ]
        return [juror for juror in jurors if juror not in kin], left_out

    def _is_kin(self, juror: Juror, case: Case) -> bool:
        return any(same_family(juror.families, self._bench.families(facts)) for facts in case.both)

    def _bind(self, case: Case, requests: tuple[ChatRequest, ...]) -> None:
        """Raise what forbids one of these requests, before any of them is made."""
        for request in requests:
            refusal = self._replays.prospect(self._replays.replay_of(_chat(case, request, 1.0))).refusal
            if isinstance(refusal, Forbidden):
                raise refusal

    def _requests(self, case: Case, juror: Juror) -> tuple[ChatRequest, ...]:
        """What a judge is asked: once about one answer, twice about a pair."""
        rubric, facts, other = case.asked.rubric, case.facts, case.other
        if other is None:
            return (mark_request(juror.name, rubric, prompt=facts.prompt, answer=facts.answer, secret=case.id),)

        def asked(first: SubjectFacts, second: SubjectFacts) -> ChatRequest:
            return choice_request(
                juror.name, rubric, prompt=facts.prompt, first=first.answer, second=second.answer, secret=case.id
            )

        return (asked(facts, other), asked(other, facts))

    async def _opinion(self, case: Case, juror: Juror, deadline_s: float) -> Opinion:
        said = await self._said(case, juror, deadline_s)
        return msgspec.structs.replace(said, is_kin=self._is_kin(juror, case))

    async def _said(self, case: Case, juror: Juror, deadline_s: float) -> Opinion:
        requests = self._requests(case, juror)
        calls = [_Call(self._replays, case, request, deadline_s) for request in requests]
        if case.other is None:
            return _marked(juror, calls[0], await calls[0].answer(_mark_reader(case)))
        async with asyncio.TaskGroup() as together:
            looks = [together.create_task(call.answer(_read_choice)) for call in calls]
        return _chosen(juror, calls, [look.result() for look in looks])


class _Call:
    """One question to one judge, asked again once where the answer is nonsense; and what all of it cost."""

    def __init__(self, replays: Replays, case: Case, request: ChatRequest, deadline_s: float) -> None:
        self._replays = replays
        self._case = case
        self._request = request
        self._deadline_s = deadline_s
        self.code = ""
        self.is_busy = False
        self.model = ""
        self.backend = ""
        self.calls = 0
        self.tokens = 0
        self.nano = 0

    async def answer[V](self, read: Callable[[Replayed], V | Unread]) -> V | Unread:
        """The verdict, or why there is none; `code` is the failure's."""
        request = self._request
        found: V | Unread = Unread("")
        for _ in range(_TRIES):
            try:
                replayed = await self._replays.chat(_chat(self._case, request, self._deadline_s), on_record=self._spent)
            except JuntoError as error:
                self.code, self.is_busy = error.code, isinstance(error, _BUSY)
                return Unread(error.message)
            self.model, self.backend = replayed.model, replayed.backend
            found = read(replayed)
            if not isinstance(found, Unread):
                return found
            self.code = NONSENSE
            request = _again(self._request, replayed, found.reason)
        return found

    def _spent(self, record: ExchangeRecord) -> None:
        self.calls += 1
        self.tokens += record.usage.total
        self.nano += record.cost_nano


def _judged(case: Case, opinions: list[Opinion]) -> Judged:
    """The opinions in the order of the judges, and what they come to."""
    said = {one.judge: one for one in opinions}
    ordered = tuple(said[name] for name in case.asked.judges)
    decision = decide(case.asked, ordered)
    is_busy = bool(decision.error_code) and any(one.is_busy for one in ordered)
    return Judged(decision=decision, opinions=ordered, is_busy=is_busy)


def _chat(case: Case, request: ChatRequest, deadline_s: float) -> ChatReplay:
    return ChatReplay(
        request=request,
        purpose=Purpose.JUDGE,
        tenant_id=case.facts.subject.tenant_id,
        sensitivity=case.sensitivity,
        allow_cloud=case.allow_cloud,
        task_type=case.facts.task_type,
        parent_id=case.facts.subject.id,
        deadline_s=deadline_s,
        terms=case.terms,
    )


def _again(request: ChatRequest, replayed: Replayed, reason: str) -> ChatRequest:
    """The same question once more: at temperature 0 the very same one would get the very same answer.

    One whose answer was cut off gets more room instead: some models think aloud before they say anything.
    """
    if _is_cut_off(replayed):
        return msgspec.structs.replace(
            request, sampling=msgspec.structs.replace(request.sampling, max_tokens=MORE_TOKENS)
        )
    turns = [Message(Role.USER, (Text(_AGAIN.format(reason=reason)),))]
    if replayed.text.strip():
        turns.insert(0, Message(Role.ASSISTANT, (Text(replayed.text[:_SHOWN_AGAIN]),)))
    return msgspec.structs.replace(request, messages=(*request.messages, *turns))


def _mark_reader(case: Case) -> Callable[[Replayed], Mark | Unread]:
    def read(replayed: Replayed) -> Mark | Unread:
        return read_mark(replayed.text, case.asked.rubric.names, cut_off=_is_cut_off(replayed))

    return read


def _read_choice(replayed: Replayed) -> Choice | Unread:
    return read_choice(replayed.text, cut_off=_is_cut_off(replayed))


def _is_cut_off(replayed: Replayed) -> bool:
    return replayed.finish_reason == "length"


def _marked(juror: Juror, call: _Call, found: Mark | Unread) -> Opinion:
    if isinstance(found, Unread):
        return _opinion_of([call], Opinion(judge=juror.name, code=call.code, error=found.reason))
    return _opinion_of([call], Opinion(judge=juror.name, mark=found))


def _chosen(juror: Juror, calls: list[_Call], found: list[Choice | Unread]) -> Opinion:
    """What two looks at a pair come to; both must have been understood."""
    looks = tuple(
        Look(swapped=bool(swapped), error=said.reason, code=call.code)
        if isinstance(said, Unread)
        else Look(swapped=bool(swapped), winner=said.winner.swapped if swapped else said.winner, reason=said.reason)
        for swapped, (call, said) in enumerate(zip(calls, found, strict=True))
    )
    straight, other = found
    if isinstance(straight, Choice) and isinstance(other, Choice):
        return _opinion_of(calls, Opinion(judge=juror.name, winner=agreed(straight, other), looks=looks))
    failed = next(look for look in looks if look.winner is None)
    return _opinion_of(calls, Opinion(judge=juror.name, looks=looks, code=failed.code, error=failed.error))


def _opinion_of(calls: list[_Call], said: Opinion) -> Opinion:
    answered = next((call for call in calls if call.model), None)
    return msgspec.structs.replace(
        said,
        is_busy=any(call.is_busy for call in calls),
        model="" if answered is None else answered.model,
        backend="" if answered is None else answered.backend,
        calls=sum(call.calls for call in calls),
        tokens=sum(call.tokens for call in calls),
        nano=sum(call.nano for call in calls),
    )


def _kin(juror: Juror, case: Case) -> str:
    models = " or ".join(repr(facts.model) for facts in case.both)
    return f"The judge {juror.name!r} is of the same family as {models}, whose answer it would judge."
