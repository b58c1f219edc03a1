"""How a council goes: who speaks next, what a round's failures mean, when there is a quorum, how it ends. Pure.

    begin -> State -> next_stage -> Deliberate | Rank | Synthesise -> (somebody asks the models) -> after -> State -> ... -> Conclude

A member that misses a round is not asked again; what it said before stands. Nobody is a single point of failure: ballots may be missing,
and where a chair fails the next able model writes the answer. One opinion is an answer, and never dressed up as several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.chat import Format, Image, Text, ToolResult
from junto.core.errors import BodyTooLarge
from junto.council import briefly, endings, wording
from junto.council.ballots import ballot_schema, read_ballot, standings
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
from junto.council.model import Member
from junto.council.ordering import order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.core.chat import Message, Sampling
    from junto.core.errors import JuntoError
    from junto.council.model import Chair, Template

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

LONGEST_QUESTION: Final = 400_000  # characters of all turns together; every call holds a copy
LARGEST_PICTURES: Final = 8_000_000  # characters of all pictures together, as base64
_BALLOT_TOKENS: Final = 300
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
    narrow: frozenset[str] = frozenset(),
) -> State:
    """The sitting before its first call. `left_out` are members that may or can not be asked, by name, with the refusal.

    `format` and `max_tokens` are what the caller asks of the answer; `narrow` as of a State. Raises a JuntoError with every reason when fewer are able than the
    quorum: NotServable where the floor is among the reasons. Raises BodyTooLarge for a question that is too long.
    """
    _check_size(question)
    out = {member.name: left_out[member.name] for member in template.members if member.name in left_out}
    able = len(template.members) - len(out)
    if able < template.quorum:
        raise endings.not_convened(template, able, out)
    return State(
        template=template,
        question=tuple(question),
        format=format,
        max_tokens=max_tokens,
        narrow=narrow,
        left_out={name: refusal.message for name, refusal in out.items()},
    )


def next_stage(state: State) -> Stage:
    """What is to be done now; the same for the same state."""
    template = state.template
    if state.rounds_done == 0:
        return _round(state, 1)
    if state.synthesis is not None:
        return endings.synthesised(state, state.synthesis)
    if len(state.voices) < template.quorum:
        return endings.below_quorum(state)
    goes_on = state.rounds_done < len(template.rounds) and bool(state.able)
    if len(state.voices) == 1 and (len(template.members) > 1 or not goes_on):
        return endings.single(state)  # there is nobody to talk with, and nothing to be put together
    if goes_on:
        return _round(state, state.rounds_done + 1)
    reviewers = _reviewers(state)
    if reviewers:
        tag = wording.tag_of(state)
        return Rank(calls=tuple(_ballot_call(state, name, tag) for name in reviewers))
    if state.chairs_tried < len(chair_candidates(state)):
        return Synthesise(call=_synthesis_call(state), attempt=state.chairs_tried + 1)
    return endings.best(state)


def after(state: State, results: Mapping[str, Outcome], stage: Stage | None = None) -> State:
    """The sitting once the stage's calls have come to something, by their keys. A call without a result counts as missed.

    `stage` is the state's next one, where it is at hand: its prompts are long.
    """
    match stage or next_stage(state):
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
    candidates = {state.template.chair.model: state.template.chair.by_caller}
    for member in members:
        candidates.setdefault(member.model, member.by_caller)
    return tuple(candidates.items())


def _check_size(question: Sequence[Message]) -> None:
    parts = [part for message in question for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ToolResult) for inner in part.content]
    if sum(len(part.text) for part in parts if isinstance(part, Text)) > LONGEST_QUESTION:
        raise BodyTooLarge(f"A council's question has {LONGEST_QUESTION} characters at most.", param="messages")
    if sum(len(part.data or "") for part in parts if isinstance(part, Image)) > LARGEST_PICTURES:
        raise BodyTooLarge(f"A council's pictures have {LARGEST_PICTURES} bytes of base64 at most.", param="messages")


# The calls of each stage


def _round(state: State, number: int) -> Deliberate:
    members = [state.template.member(name) for name in state.able]
    tag = wording.tag_of(state)
    return Deliberate(
        round=number,
        calls=tuple(
            Call(
                key=f"round {number}/{member.name}",
                speaker=member.name,
                role=CallRole.OPINION,
                round=number,
                model=member.model,
                messages=briefly.opinion_messages(state, member, number)
                if member.model in state.narrow
                else wording.opinion_messages(state, member, number, tag),
                sampling=_bounded(state, member, member.model, member.max_tokens),
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


def _ballot_call(state: State, reviewer: str, tag: str) -> Call:
    member, letters = state.template.member(reviewer), _letters(state)
    return Call(
        key=f"ballot/{reviewer}",
        speaker=reviewer,
        role=CallRole.BALLOT,
        model=member.model,
        messages=briefly.ballot_messages(state, reviewer, letters)
        if member.model in state.narrow
        else wording.ballot_messages(state, reviewer, letters, tag),
        sampling=msgspec.structs.replace(member.sampling, max_tokens=_BALLOT_TOKENS),
        format=Format("json_schema", ballot_schema(letters), "ballot"),
        by_caller=member.by_caller,
    )


def _letters(state: State) -> tuple[str, ...]:
    return tuple(wording.label_of(state, voice.member) for voice in state.voices)


def _synthesis_call(state: State) -> Call:
    chair = state.template.chair
    model, by_caller = chair_candidates(state)[state.chairs_tried]
    most = chair.max_tokens if state.max_tokens is None else min(chair.max_tokens, state.max_tokens)
    format = state.answer_format
    return Call(
        key=f"synthesis/{state.chairs_tried + 1}",
        speaker=chair.name,
        role=CallRole.SYNTHESIS,
        model=model,
        messages=(briefly if model in state.narrow else wording).synthesis_messages(state, standings(state), format),
        sampling=_bounded(state, chair, model, most),
        format=format,
        by_caller=by_caller,
    )


def _bounded(state: State, speaker: Member | Chair, model: str, max_tokens: int) -> Sampling:
    if model not in state.narrow:
        return msgspec.structs.replace(speaker.sampling, max_tokens=max_tokens)
    most = briefly.OPINION_TOKENS if isinstance(speaker, Member) else briefly.CHAIR_TOKENS
    return briefly.sampling_of(speaker.sampling, max_tokens, most)


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
