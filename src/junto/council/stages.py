"""How a council goes: who speaks next, what a round's failures mean, when there is a quorum, how it ends. Pure.

    begin -> State -> next_stage -> Deliberate | Rank | Synthesise -> (somebody asks the models) -> after -> State -> ... -> Conclude

A member that misses a round is not asked again; what it said before stands. Nobody is a single point of failure: ballots may be missing,
and where a chair fails the next able model writes the answer. One opinion is an answer, and never dressed up as several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.chat import Format
from junto.core.errors import (
    AllBackendsDown,
    DeadlinePassed,
    Forbidden,
    JuntoError,
    Misconfigured,
    NotServable,
    UnknownModel,
)
from junto.council import wording
from junto.council.ballots import ballot_schema, ranking, read_ballot
from junto.council.deliberation import (
    Absence,
    Ballot,
    Call,
    CallRole,
    Conclude,
    Deliberate,
    Kind,
    Missed,
    Opinion,
    Outcome,
    Place,
    Rank,
    Said,
    Stage,
    State,
    Synthesis,
    Synthesise,
)
from junto.council.ordering import order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from junto.core.chat import Message, Sampling
    from junto.council.ballots import Standing
    from junto.council.model import Template

__all__ = [
    "Call",
    "CallRole",
    "Conclude",
    "Deliberate",
    "Kind",
    "Missed",
    "Outcome",
    "Place",
    "Rank",
    "Said",
    "Stage",
    "State",
    "Synthesise",
    "after",
    "begin",
    "chair_candidates",
    "next_stage",
    "order",
    "standings",
]

_BALLOT_TOKENS = 300
_SILENCE = Missed(reason="no answer came")
_EMPTY = "the answer was empty"
_NONSENSE = "the ballot made no sense"


def begin(
    template: Template,
    question: Sequence[Message],
    left_out: Mapping[str, JuntoError],
    *,
    format: Format | None = None,
    max_tokens: int | None = None,
) -> State:
    """The sitting before its first call. `left_out` are members that may or can not be asked, by name, with the refusal.

    `format` and `max_tokens` are what the caller asks of the answer. Raises a JuntoError with every reason when fewer are able than the
    quorum: NotServable where the floor is among the reasons.
    """
    out = {member.name: left_out[member.name] for member in template.members if member.name in left_out}
    able = len(template.members) - len(out)
    if able < template.quorum:
        raise _not_convened(template, able, out)
    return State(
        template=template,
        question=tuple(question),
        format=format,
        max_tokens=max_tokens,
        left_out={name: refusal.message for name, refusal in out.items()},
    )


def next_stage(state: State) -> Stage:
    """What is to be done now; the same for the same state."""
    template = state.template
    if state.rounds_done == 0:
        return _round(state, 1)
    if state.synthesis is not None:
        return _synthesised(state, state.synthesis)
    if len(state.voices) < template.quorum:
        return _below_quorum(state)
    goes_on = state.rounds_done < len(template.rounds) and bool(state.able)
    if len(state.voices) == 1 and (len(template.members) > 1 or not goes_on):
        return _single(state)  # there is nobody to talk with, and nothing to be put together
    if goes_on:
        return _round(state, state.rounds_done + 1)
    reviewers = _reviewers(state)
    if reviewers:
        return Rank(calls=tuple(_ballot_call(state, name) for name in reviewers))
    if state.chairs_tried < len(chair_candidates(state)):
        return Synthesise(call=_synthesis_call(state), attempt=state.chairs_tried + 1)
    return _best(state)


def after(state: State, results: Mapping[str, Outcome]) -> State:
    """The sitting once the stage's calls have come to something, by their keys. A call without a result counts as missed."""
    match next_stage(state):
        case Deliberate(round=number, calls=calls):
            return _heard(state, number, calls, results)
        case Rank(calls=calls):
            return _reviewed(state, calls, results)
        case Synthesise(call=call):
            return _chaired(state, call, _outcome(call, results))
        case Conclude():
            return state


def chair_candidates(state: State) -> tuple[tuple[str, bool], ...]:
    """The models that may write the answer, in order: the chair's, then those of the members who were heard.

    Each with whether a caller named it.
    """
    members = [state.template.member(voice.member) for voice in state.voices]
    candidates = {state.template.chair.model: False}
    for member in members:
        candidates.setdefault(member.model, member.by_caller)
    return tuple(candidates.items())


def standings(state: State) -> tuple[Standing, ...]:
    """The opinions in the order that the ballots give them; () without a ballot."""
    if not state.ballots:
        return ()
    return ranking([voice.member for voice in state.voices], state.ballots)


# The calls of each stage


def _round(state: State, number: int) -> Deliberate:
    members = [state.template.member(name) for name in state.able]
    return Deliberate(
        round=number,
        calls=tuple(
            Call(
                key=f"round {number}/{member.name}",
                speaker=member.name,
                role=CallRole.OPINION,
                round=number,
                model=member.model,
                messages=wording.opinion_messages(state, member, number),
                sampling=_bounded(member.sampling, member.max_tokens),
                by_caller=member.by_caller,
            )
            for member in members
        ),
    )


def _reviewers(state: State) -> tuple[str, ...]:
    wanted = state.template.ranking
    if wanted is None or state.is_ranked:
        return ()
    return tuple(name for name in state.able if name in wanted.reviewers)


def _ballot_call(state: State, reviewer: str) -> Call:
    member, letters = state.template.member(reviewer), _letters(state)
    return Call(
        key=f"ballot/{reviewer}",
        speaker=reviewer,
        role=CallRole.BALLOT,
        model=member.model,
        messages=wording.ballot_messages(state, reviewer, letters),
        sampling=_bounded(member.sampling, _BALLOT_TOKENS),
        format=Format("json_schema", ballot_schema(letters), "ballot"),
        by_caller=member.by_caller,
    )


def _letters(state: State) -> tuple[str, ...]:
    return tuple(wording.label_of(state, voice.member) for voice in state.voices)


def _synthesis_call(state: State) -> Call:
    chair = state.template.chair
    model, by_caller = chair_candidates(state)[state.chairs_tried]
    most = chair.max_tokens if state.max_tokens is None else min(chair.max_tokens, state.max_tokens)
    format = _format(state)
    return Call(
        key=f"synthesis/{state.chairs_tried + 1}",
        speaker=chair.name,
        role=CallRole.SYNTHESIS,
        model=model,
        messages=wording.synthesis_messages(state, standings(state), format),
        sampling=_bounded(chair.sampling, most),
        format=format,
        by_caller=by_caller,
    )


def _format(state: State) -> Format | None:
    output = state.template.output
    if state.format is not None or output.format == "text":
        return state.format
    return Format("json_schema", output.schema or wording.ANSWER_SCHEMA)


def _bounded(sampling: Sampling, max_tokens: int) -> Sampling:
    return msgspec.structs.replace(sampling, max_tokens=max_tokens)


# What came of them


def _outcome(call: Call, results: Mapping[str, Outcome]) -> Outcome:
    outcome = results.get(call.key, _SILENCE)
    return Missed(reason=_EMPTY) if isinstance(outcome, Said) and not outcome.text.strip() else outcome


def _heard(state: State, number: int, calls: Sequence[Call], results: Mapping[str, Outcome]) -> State:
    opinions, absences = [], []
    for call in calls:
        match _outcome(call, results):
            case Said(text=text, backend=backend, model=model):
                opinions.append(
                    Opinion(member=call.speaker, round=number, text=text, backend=backend, model=model or call.model)
                )
            case Missed() as missed:
                absences.append(_absence(call, missed))
    return msgspec.structs.replace(
        state,
        opinions=(*state.opinions, *opinions),
        absences=(*state.absences, *absences),
        rounds_done=number,
    )


def _reviewed(state: State, calls: Sequence[Call], results: Mapping[str, Outcome]) -> State:
    letters = _letters(state)
    members = {letter: voice.member for letter, voice in zip(letters, state.voices, strict=True)}
    ballots, absences = [], []
    for call in calls:
        outcome = _outcome(call, results)
        if isinstance(outcome, Missed):
            absences.append(_absence(call, outcome))
            continue
        reading = read_ballot(outcome.text, letters)
        if reading is None:
            absences.append(_absence(call, Missed(reason=_NONSENSE)))
        else:
            in_order = tuple(members[letter] for letter in reading.order)
            ballots.append(Ballot(reviewer=call.speaker, order=in_order, why=reading.why))
    return msgspec.structs.replace(
        state,
        ballots=(*state.ballots, *ballots),
        absences=(*state.absences, *absences),
        is_ranked=True,
    )


def _chaired(state: State, call: Call, outcome: Outcome) -> State:
    tried = state.chairs_tried + 1
    if isinstance(outcome, Missed):
        return msgspec.structs.replace(state, chairs_tried=tried, absences=(*state.absences, _absence(call, outcome)))
    synthesis = Synthesis(
        text=outcome.text, asked=call.model, backend=outcome.backend, model=outcome.model or call.model
    )
    return msgspec.structs.replace(state, chairs_tried=tried, synthesis=synthesis)


def _absence(call: Call, missed: Missed) -> Absence:
    return Absence(
        name=call.speaker,
        role=call.role,
        reason=missed.reason,
        round=call.round,
        late=missed.late,
        model=call.model,
    )


# How it ends


def _synthesised(state: State, synthesis: Synthesis) -> Conclude:
    is_text = _format(state) is None
    appended = f"\n\n---\n{wording.legend(state)}\n" if state.template.chair.neutral and is_text else ""
    return Conclude(
        answer=synthesis.text + appended,
        kind=Kind.SYNTHESIS,
        appended=appended,
        note=wording.note(state, Kind.SYNTHESIS),
    )


def _below_quorum(state: State) -> Conclude:
    voices = state.voices
    if not voices or state.template.below_quorum == "fail":
        return Conclude(answer="", kind=Kind.FAILED, note=wording.note(state, Kind.FAILED), failure=_failure(state))
    if len(voices) == 1:
        return _single(state)
    kind = Kind.SIDE_BY_SIDE
    return Conclude(answer=wording.side_by_side(voices), kind=kind, note=wording.note(state, kind))


def _single(state: State) -> Conclude:
    return Conclude(answer=state.voices[0].text, kind=Kind.SINGLE, note=wording.note(state, Kind.SINGLE))


def _best(state: State) -> Conclude:
    ranked = standings(state)
    best = ranked[0].member if ranked else state.voices[0].member
    text = next(voice.text for voice in state.voices if voice.member == best)
    return Conclude(answer=text, kind=Kind.BEST, note=wording.note(state, Kind.BEST, best))


def _failure(state: State) -> JuntoError:
    heard, needed = len(state.voices), state.template.quorum
    what = (
        f"Only {heard} of the {needed} members that the council {state.template.name} needs gave an answer."
        if heard
        else f"No member of the council {state.template.name} gave an answer."
    )
    if state.absences and all(absence.late for absence in state.absences):
        return DeadlinePassed(what, reasons=state.missing)
    return AllBackendsDown(what, reasons=state.missing)


def _not_convened(template: Template, able: int, left_out: Mapping[str, JuntoError]) -> JuntoError:
    what = f"The council {template.name} needs {template.quorum} of its {len(template.members)} members, and {able} can be asked."
    reasons = tuple(_reasons(left_out))
    refusals = list(left_out.values())
    for kind in (NotServable, Forbidden):
        if any(isinstance(refusal, kind) for refusal in refusals):
            return kind(what, reasons=reasons)
    if all(isinstance(refusal, UnknownModel | Misconfigured) for refusal in refusals):
        return Misconfigured(what, reasons=reasons)
    waits = [refusal.retry_after for refusal in refusals if refusal.retry_after is not None]
    return AllBackendsDown(what, reasons=reasons, retry_after=min(waits, default=None))


def _reasons(left_out: Mapping[str, JuntoError]) -> Iterator[str]:
    for name, refusal in left_out.items():
        yield f"{name}: {refusal.message}"
        yield from (f"{name}: {reason}" for reason in refusal.reasons)
