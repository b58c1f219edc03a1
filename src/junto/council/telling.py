"""What a caller is told while a council sits: each step as reasoning for people, and as fields for programs. Pure.

The fields stand under `council`, with the kind of the step in `event`; docs/councils.md lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from junto.core.events import Progress
from junto.core.money import usd_from_nano
from junto.council.deliberation import Deliberate, Missed, Rank, Said, Synthesise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from junto.council.asking import Account, Prospect
    from junto.council.deliberation import Call, Outcome, Stage, State

ANEW = "\n\n---\n\n*(The answer broke off here. It begins anew, by another model.)*\n\n"
"""Between what a chair said before it failed and what comes instead: what was sent cannot be taken back."""


def convened(state: State) -> Progress:
    """Who sits, and who does not."""
    template = state.template
    here = ", ".join(state.able)
    lines = [f"The council {template.name} sits: {here}.\n"]
    lines += [f"{name} is left out: {reason}\n" for name, reason in state.left_out.items()]
    members = [
        {
            "name": one.name,
            "model": one.model,
            "status": "left_out" if one.name in state.left_out else "able",
            "reason": state.left_out.get(one.name),
        }
        for one in template.members
    ]
    return _told(
        "".join(lines),
        "convened",
        template=template.name,
        members=members,
        rounds=len(template.rounds),
        quorum=template.quorum,
        chair=template.chair.name,
    )


def begun(stage: Stage, prospects: Iterable[Prospect]) -> Progress:
    """A round, the ranking or the synthesis begins; and where its calls go."""
    asked = [
        {"name": one.call.speaker, "model": one.outlook.model or one.call.model, "backend": one.outlook.backend}
        for one in prospects
    ]
    match stage:
        case Deliberate(round=number):
            return _told(f"\n## Round {number}\n\n", "round", round=number, asked=asked)
        case Rank():
            return _told("\n## Ranking\n\n", "ranking", asked=asked)
        case Synthesise(attempt=attempt):
            where = ", ".join(one["model"] for one in asked)
            again = "" if attempt == 1 else " instead"
            return _told(f"\n{where} writes the answer{again}.\n", "synthesis", asked=asked, attempt=attempt)
        case _:
            return Progress("")


def heard(call: Call, outcome: Outcome, account: Account) -> Progress:
    """What came of a member's call; of a chair's only that it failed, since its words are the answer itself."""
    figures = {
        "name": call.speaker,
        "role": call.role.value,
        "round": call.round,
        "model": account.model or call.model,
        "backend": account.backend,
        "milliseconds": account.milliseconds,
        "cost_usd": usd_from_nano(account.nano),
        "tokens": account.usage.total,
    }
    match outcome:
        case Missed(reason=reason, late=late):
            return _told(f"{call.speaker} is missing: {reason}\n\n", "missed", **figures, reason=reason, late=late)
        case Said(text=text):
            name = f"{call.speaker} ({account.model or call.model})"
            return _told(f"### {name}\n\n{text.strip()}\n\n", "said", **figures)


def waiting(names: Iterable[str], seconds: int) -> Progress:
    """Nothing was heard for a while."""
    whom = list(names)
    return _told(f"… waiting for {', '.join(whom)} ({seconds} s)\n", "waiting", names=whom, seconds=seconds)


def noted(note: str) -> Progress:
    """What is not as it should be with the answer."""
    return _told(f"\n{note}\n", "note", note=note)


def _told(text: str, event: str, **fields: Any) -> Progress:
    return Progress(text, {"council": {"event": event, **fields}})
