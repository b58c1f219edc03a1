"""How a council ends: with what answer, of which kind, or with which error. Pure; when it ends is decided in stages.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from junto.council.ballots import standings
from junto.council.deliberation import Conclude, Kind, State, Synthesis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from junto.council.model import Template


def synthesised(state: State, synthesis: Synthesis) -> Conclude:
    """The chair wrote it. Below a neutral judge's text stands who was meant by which label."""
    is_text = state.answer_format is None
    appended = f"\n\n---\n{wording.legend(state)}\n" if state.template.chair.neutral and is_text else ""
    return Conclude(
        answer=synthesis.text + appended,
        kind=Kind.SYNTHESIS,
        appended=appended,
        note=wording.note(state, Kind.SYNTHESIS),
    )


def below_quorum(state: State) -> Conclude:
    """Fewer were heard than the quorum: what there is, as it is, or a failure where the template says so."""
    voices = state.voices
    if not voices or state.template.below_quorum == "fail":
        return Conclude(answer="", kind=Kind.FAILED, note=wording.note(state, Kind.FAILED), failure=_failure(state))
    if len(voices) == 1:
        return single(state)
    kind = Kind.SIDE_BY_SIDE
    return Conclude(answer=wording.side_by_side(voices), kind=kind, note=wording.note(state, kind))


def single(state: State) -> Conclude:
    """The one opinion there is, as it is."""
    return Conclude(answer=state.voices[0].text, kind=Kind.SINGLE, note=wording.note(state, Kind.SINGLE))


def best(state: State) -> Conclude:
    """No chair could write it: the opinion that the ballots put first, else the first one."""
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


def not_convened(template: Template, able: int, left_out: Mapping[str, JuntoError]) -> JuntoError:
    """Why the council cannot begin, with the reasons of everybody who was left out."""
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
