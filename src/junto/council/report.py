"""The `council` object that goes with an answer: who said what, what it cost, who is missing, how it was put together. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.core.money import usd_from_nano
from junto.core.usage import Usage
from junto.council import wording
from junto.council.ballots import standings
from junto.council.deliberation import Absence, Call, CallRole, Conclude, Kind, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from junto.council.model import Member

_HEADING = re.compile(r"(?P<marks>#{1,6}|\*\*)\s*(?P<title>[^\n*#]{1,80}?)\s*:?\s*(?:\*\*|#*)\s*:?")
_NOTHING: Final = frozenset({"", "none", "none.", "-", "n/a", "n/a."})


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What one call came to, also one that nothing came of: who answered, what was used, and nano-dollars."""

    speaker: str
    role: CallRole
    backend: str = ""
    model: str = ""
    usage: Usage = Usage()
    nano: int = 0


def tally(call: Call, *, usage: Usage | None, nano: int, backend: str = "", model: str = "") -> Tally:
    """The tally of that call."""
    return Tally(speaker=call.speaker, role=call.role, backend=backend, model=model, usage=usage or Usage(), nano=nano)


def report(state: State, end: Conclude, tallies: Sequence[Tally], *, duration_ms: int) -> dict[str, Any]:
    """The whole account of a sitting, as JSON values."""
    template = state.template
    return {
        "template": template.name,
        "kind": end.kind.value,
        "degraded": state.is_degraded,
        "note": end.note,
        "missing": list(state.missing),
        "quorum": {
            "needed": template.quorum,
            "heard": len(state.voices),
            "met": len(state.voices) >= template.quorum,
        },
        "members": [_member(state, member, tallies) for member in template.members],
        "rounds": _rounds(state),
        "ballots": _ballots(state),
        "ranking": [msgspec.structs.asdict(standing) for standing in standings(state)],
        "chair": _chair(state, end, tallies),
        "dissent": dissent_in(state.synthesis.text) if state.synthesis is not None else "",
        **_spent(tallies),
        "duration_ms": duration_ms,
    }


def dissent_in(answer: str) -> str:
    """What an answer says about disagreement: the section under that heading, or the key of that name; "" if there is none."""
    if answer.lstrip().startswith("{"):
        return _dissent_in_json(answer)
    lines = answer.splitlines()
    taken: list[str] | None = None
    level = 0
    for line in lines:
        heading = _HEADING.fullmatch(line.strip()[:200])
        depth = _depth(heading["marks"]) if heading is not None else 0
        if taken is None:
            if heading is not None and heading["title"].casefold() == wording.DISAGREEMENT.casefold():
                taken, level = [], depth
        elif heading is not None and depth <= level:
            break
        else:
            taken.append(line)
    text = "\n".join(taken or []).strip()
    return "" if text.casefold() in _NOTHING else text


def _depth(marks: str) -> int:
    return 7 if marks == "**" else len(marks)


def _dissent_in_json(answer: str) -> str:
    try:
        value = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
    said = value.get(wording.DISAGREEMENT.casefold(), "") if isinstance(value, dict) else ""
    text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    return "" if text.strip().casefold() in _NOTHING else text.strip()


def _member(state: State, member: Member, tallies: Sequence[Tally]) -> dict[str, Any]:
    own = [opinion for opinion in state.opinions if opinion.member == member.name]
    mine = [one for one in tallies if one.speaker == member.name and one.role is not CallRole.SYNTHESIS]
    last = own[-1] if own else None
    status, reason = _status(state, member.name)
    answered = next((one for one in reversed(mine) if one.model), None)
    return {
        "name": member.name,
        "label": wording.label_of(state, member.name),
        "model": (last.model if last else "") or (answered.model if answered else "") or member.model,
        "backend": (last.backend if last else "") or (answered.backend if answered else "") or None,
        "status": status,
        "reason": reason,
        "opinion": None if last is None else last.text,
        **_spent(mine),
    }


def _status(state: State, name: str) -> tuple[str, str | None]:
    """How a member fared: in the rounds first, for without an opinion a ballot hardly matters."""
    if name in state.left_out:
        return "left_out", state.left_out[name]
    for role in (CallRole.OPINION, CallRole.BALLOT):
        for absence in state.absences:
            if absence.name == name and absence.role is role:
                return ("late" if absence.late else "failed"), _where(absence)
    return "ok", None


def _where(absence: Absence) -> str:
    return f"round {absence.round}: {absence.reason}" if absence.round else f"ballot: {absence.reason}"


def _rounds(state: State) -> list[dict[str, Any]]:
    return [
        {
            "round": number,
            "sees": state.template.rounds[number - 1].sees.value,
            "opinions": [
                {"member": opinion.member, "model": opinion.model, "opinion": opinion.text}
                for opinion in state.opinions
                if opinion.round == number
            ],
            "missing": [
                {"member": absence.name, "status": "late" if absence.late else "failed", "reason": absence.reason}
                for absence in state.absences
                if absence.round == number
            ],
        }
        for number in range(1, state.rounds_done + 1)
    ]


def _ballots(state: State) -> list[dict[str, Any]]:
    """Each ballot with the others in its order; what a reviewer said of itself does not count, and is left out here too."""
    cast = [
        {
            "reviewer": ballot.reviewer,
            "ranking": [name for name in ballot.order if name != ballot.reviewer],
            "why": ballot.why,
        }
        for ballot in state.ballots
    ]
    missing = [
        {"reviewer": absence.name, "ranking": [], "reason": absence.reason}
        for absence in state.absences
        if absence.role is CallRole.BALLOT
    ]
    return [*cast, *missing]


def _chair(state: State, end: Conclude, tallies: Sequence[Tally]) -> dict[str, Any]:
    chair, wrote = state.template.chair, state.synthesis
    status = {Kind.SYNTHESIS: "ok", Kind.BEST: "failed"}.get(end.kind, "not_asked")
    return {
        "name": chair.name,
        "neutral": chair.neutral,
        "model": wrote.model if wrote is not None else chair.model,
        "backend": (wrote.backend if wrote is not None else "") or None,
        "status": status,
        "failed": [
            {"model": absence.model, "reason": absence.reason}
            for absence in state.absences
            if absence.role is CallRole.SYNTHESIS
        ],
        **_spent([one for one in tallies if one.role is CallRole.SYNTHESIS]),
    }


def _spent(tallies: Iterable[Tally]) -> dict[str, Any]:
    usage, nano = Usage(), 0
    for one in tallies:
        usage, nano = usage.plus(one.usage), nano + one.nano
    counted: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
    }
    if usage.estimated:
        counted["estimated"] = True
    return {"usage": counted, "cost_usd": usd_from_nano(nano)}
